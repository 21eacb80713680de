"""The benchmark's own arithmetic, and a run of it without a GPU."""

import importlib
import itertools
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses import FakeTensorMode

from lib.bench import recall, timing
from lib.bench.kernels import (
    cast,
    gptq,
    hessian,
    int4,
    int8,
    nf4,
    nf4_dequantize,
    rows,
)
from lib.bench.kernels.pruned import two_of_four, wanda
from lib.bench.kernels.rows import Row, measured, tabulated, tuning_cases
from lib.bench.record import commit_here
from lib.bench.registry import main
from lib.bench.tokens import table
from lib.kernels.core import compiler
from lib.kernels.core.tiles import Tile

OPERATIONS = (
    *(int4, int8, nf4, nf4_dequantize),
    *(cast, gptq, hessian, wanda, two_of_four),
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda module: module.__name__)
def test_every_operation_is_right_and_timed(operation):
    rows = list(operation.measure([(128, 256)], [1]))
    assert rows
    for row in rows:
        assert row.error is None and row.ours > 0, row
        assert row.nbytes > 128 * 256 // 3


def test_a_wrong_result_is_not_timed():
    exact = torch.ones(2, dtype=torch.float64)
    for wrong in (torch.full((2,), 1.01), torch.tensor([1.0, torch.nan])):
        row = measured(Row("", 1, 1, 1, 1), [lambda y=wrong: y], exact, 1e-3, {})
        assert row.ours is None and "relative error" in row.error


def test_a_failing_baseline_is_noted_and_the_others_are_timed():
    baselines = {"works": lambda: [lambda: None], "timed": lambda: 1e9}
    baselines["absent"] = lambda: importlib.import_module("no_such_package")
    y = torch.ones(1)
    row = measured(Row("", 1, 1, 1, 1), [lambda: y], y.double(), 1e-3, baselines)
    assert row.baselines["absent"].endswith("No module named 'no_such_package'")
    assert row.baselines["works"] == row.best_baseline > 0
    assert row.baselines["timed"] == 1e9


def test_company_is_timed_with_and_without_a_chain(monkeypatch):
    """Its neighbours' time is taken off, and chained is what says so."""
    monkeypatch.setattr(compiler, "_capability", lambda _: (9, 0))
    with FakeTensorMode():
        hopper = torch.ones(1, device="cuda")
    early = compiler.pdl_options

    def clock(calls):
        return 5.0 + early(hopper)["PDL"] + len(calls)

    monkeypatch.setattr(rows, "microseconds", clock)
    monkeypatch.setattr(rows, "microseconds_in_company", lambda c: 10 + clock(c))
    row = rows.in_company(Row("", 1, 1, 1, 1), [int, int], {"a": lambda: [int]})
    assert row.company == {
        **{"ours": 17, "ours chained": 18, "ours alone": 7, "ours chained alone": 8},
        **{"a": 16, "a alone": 6},
    }


def test_ratios_are_what_they_say(monkeypatch):
    monkeypatch.setattr(rows, "bandwidth", lambda: 10.0)
    row = Row("", 1, 1, 1, nbytes=100, ours=20.0, baselines={"a": 60.0, "b": "absent"})
    table = tabulated([row])[0]
    assert (table["floor"], table["of_floor"], table["times_best_baseline"]) == (
        10,
        0.5,
        3,
    )
    row.flops = int(16 * rows.FLOPS)
    assert row.floor == 16, "the products take longer than the bytes"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has its own clock")
def test_times_are_microseconds(monkeypatch):
    looks = itertools.count(step=0.002)  # each look at the clock is 2 ms later
    clock = SimpleNamespace(perf_counter=lambda: next(looks))
    monkeypatch.setattr(timing, "time", clock)
    assert timing.microseconds([lambda: None]) == pytest.approx(2000)


def test_candidates_fit_the_columns():
    for operation in (int4, int8, nf4, two_of_four):
        for m in (1, 5, 16, 100, 1024):
            tiles = operation.candidates(m, 2048)
            assert tiles and len(set(tiles)) == len(tiles)
            assert all(isinstance(tile, Tile) and tile.splits <= 8 for tile in tiles)


def test_the_command_names_its_benchmarks():
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "lib.bench", *arguments],
            capture_output=True,
            text=True,
        )

    assert {"nf4_dequantize", "ptq_best"} <= set(run().stdout.split())
    unknown = run("int5")
    assert unknown.returncode == 2 and "no benchmark 'int5'" in unknown.stderr


def test_company_is_recorded_with_both_ways(tmp_path):
    words = ["company", "--sizes", "128x256", "--tokens", "1"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    (path,) = tmp_path.iterdir()
    (row,) = recall(path.stem, folder=tmp_path).results["rows"]
    assert path.stem.startswith("company") and row["error"] is None
    assert min(row["company"][f"ours{how}"] for how in ("", " chained alone")) > 0


@pytest.mark.parametrize("given", [[], ["--commit", "1a2b3c4"]])
def test_both_tables_record_the_command_and_the_commit(given, monkeypatch, tmp_path):
    monkeypatch.setattr(table, "measure_in_process", lambda *case: table.Row(*case[:2]))
    suffix = "" if torch.cuda.is_available() else "_cpu"
    for words in (
        ["hessian", "--sizes", "64x64", "--tokens", "8"],
        ["tokens", "--shapes", "tiny", "--formats", "fp16", "int4"],
    ):
        assert main([*words, *given, "--out", str(tmp_path)]) == 0
        kept = recall(words[0] + suffix, folder=tmp_path)
        assert kept.command == " ".join(["python -m lib.bench", *words, *given])
        assert kept.commit == ("1a2b3c4 (given)" if given else commit_here())
        assert len(kept.results["rows"]) == 2
    for row in kept.results["rows"]:
        assert row["command"] == kept.command and row["commit"] == kept.commit


def test_the_best_right_tile_is_kept(monkeypatch):
    """On a CPU, with clocks and threads that need no GPU."""
    fast, slow, wrong, broken = (Tile(16, 1, stages=n) for n in (1, 2, 3, 4))
    exact = torch.ones(4, dtype=torch.float64)

    def calls(tile):
        if tile is broken:
            raise RuntimeError("out of shared memory")
        return [lambda: 2 * exact if tile is wrong else exact]

    clock = {id(fast): 1.0, id(slow): 2.0, id(wrong): 0.5}
    table = {}
    monkeypatch.setattr(rows, "MEASURED", table)
    monkeypatch.setattr(rows, "save", lambda: None)
    monkeypatch.setattr(rows, "_enter_device", lambda: None)
    monkeypatch.setattr(rows, "attempt", lambda make: clock[_tile(make)])
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    tiles = [slow, fast, wrong, broken]
    case = rows.Case(torch.ones(1, 8), 4, exact, 1e-3, calls, tiles)
    notes = rows.best_tiles("op", [case])
    assert table == {("op", "a GPU", "1x4x8"): fast}
    assert notes[0]["us"] == {str(slow): 2.0, str(fast): 1.0}


def test_a_tuning_case_multiplies_each_copy_of_its_own_weights():
    def product(x, w, tile):
        return x.double() @ w.T * tile.rows

    ways = (
        lambda n, k: [torch.randn(n, k, dtype=torch.float64) for _ in range(3)],
        lambda x, w, dtype: x @ w.to(dtype).T,
        product,
        lambda m, k: [Tile(1, 1), Tile(2, 1)],
    )
    sizes, tokens = [(4, 8), (2, 6)], [1, 5]
    cases = list(tuning_cases(sizes, tokens, *ways, 1e-9, device="cpu"))
    assert [(c.n, *c.x.shape) for c in cases] == [
        (n, m, k) for n, k in sizes for m in tokens
    ]
    for case in cases:
        one, two = (case.calls(tile) for tile in case.tiles)
        assert torch.allclose(one[0](), case.exact)
        assert torch.allclose(two[0](), 2 * case.exact)
        assert len({call().sum().item() for call in one}) == 3, "three different copies"


def _tile(make):
    """The tile that a deferred attempt is about."""
    return id(make.__defaults__[1])
