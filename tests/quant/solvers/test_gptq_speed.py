"""The plain column loop that GPTQ is timed against is GPTQ, where it should be."""

import pytest
import torch

from lib.bench.gptq_speed import column_loop, compare
from lib.bench.ptq_jobs import TABLES, jobs
from lib.quant.hessian import Hessian
from lib.quant.solvers.gptq import GPTQ, gptq


def layer(rows, cols):
    draw = torch.Generator().manual_seed(rows)
    stream = Hessian(cols)
    mix = torch.randn(cols, cols, generator=draw).double()
    stream.add(torch.randn(4 * cols, cols, generator=draw).double() @ mix)
    return torch.randn(rows, cols, generator=draw).double(), stream.matrix


@pytest.mark.parametrize("block", [16, 48])
def test_with_groups_as_long_as_blocks_both_give_the_same(block):
    w, h = layer(8, 48)
    plain = column_loop(w, h, bits=3, group=48, block=block)
    ours = gptq(w, h, GPTQ(3, 48)).dequantize()
    assert (plain - ours).abs().max() < 2**-10 * ours.abs().max(), "fp16 steps only"


def test_inside_a_block_the_plain_loop_reads_stale_grids_and_errs_more():
    w, h = layer(64, 128)
    row = compare(w, h)
    assert 0 < row["gptq_error"] < row["column_loop_error"]


def test_every_row_is_measured_once_by_one_benchmark():
    tables = [table for some in TABLES.values() for table in some]
    assert len(set(tables)) == len(tables), "two benchmarks measure one table"
    assert {job.table for job in jobs()} == set(tables), "a row that nobody measures"
    for some in TABLES.values():
        assert {job.table for job in jobs(*some)} == set(some)
    assert len(set(jobs())) == len(jobs()), "a row is measured twice"


def test_the_table_has_every_method_and_no_row_twice():
    found = jobs()
    assert len(set(found)) == len(found) > 20, "a row is measured twice"
    methods = {type(job.method).__name__ for job in found if job.method}
    alone = {"RoundToNearest", "NormalFloat", "AWQ", "GPTQ", "SpQR"}
    assert methods == alone | {"Incoherence", "BlockLDLQ"}
