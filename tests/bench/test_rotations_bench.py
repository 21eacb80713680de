"""The rotations' benchmarks in small: every row is made, and repairs repair."""

import argparse

import pytest
import torch

from lib.bench.record import Run, recall
from lib.bench.rotations import common, learned, table, why
from lib.quant.hessian import Hessian
from lib.quant.solvers.gptq import GPTQ

TOKENS = torch.randint(40, (6, 16), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def setting(tiny_llama, monkeypatch):
    made = common.Setting(tiny_llama, TOKENS[:2], TOKENS, "in small", "here")
    monkeypatch.setattr(common.Setting, "of", classmethod(lambda cls, options: made))
    for module in (common, why):
        monkeypatch.setattr(module, "GROUP", 8)
    return made


@pytest.fixture
def run(tmp_path):
    return Run("small", "nothing", "none", tmp_path)


def test_every_row_of_the_table_is_made(setting, run):
    options = argparse.Namespace(
        seeds=2, variants=[*common.VARIANTS], plans=["gptq3", "nearest2"], parts=True
    )
    assert table.main(run, "small", options)
    rows = recall("small", folder=run.folder).results["rows"]
    keys = ("table", "variant", "seed", "part", "rounding", "bits", "flow")
    found = {tuple(row.get(key) for key in keys) for row in rows}
    assert len(found) == len(rows) == 4 * 8 + 2 * len(table.PARTS)
    loaded = [row for row in rows if row.get("bits") == 16]
    exact = [row["perplexity"] for row in loaded if row["flow"] == "A16"]
    assert max(exact) - min(exact) < 1e-3 * min(exact), "four variants, one model"


def test_learning_is_measured_before_and_after(setting, run):
    options = argparse.Namespace(
        seeds=1, steps=2, batch=2, length=8, rate=1.0, gptq=True, windows=6
    )
    assert learned.main(run, "small", options)


def test_shares_add_up_and_repairs_repair(setting, run, monkeypatch):
    options = argparse.Namespace(bits=3, gptq=True)
    monkeypatch.setattr(why, "VARIANTS", ("rotated",))
    assert why.main(run, "small", options)
    model = setting.variant("folded")
    hs = why.moments(setting, model)
    small = {n: torch.zeros_like(w) for n, w in why.weights_of(model).items()}
    with why.repaired(model, small, hs, "first"):
        first = model(TOKENS[:, :1]).logits
    torch.testing.assert_close(first, model(TOKENS[:, :1]).logits)
    with why.repaired(model, small, hs, "top"):
        for name, w in why.weights_of(model).items():
            u = why.loudest(hs[name]).float()
            exact = setting.variant("folded").get_submodule(name).weight @ u
            torch.testing.assert_close(w @ u, exact, rtol=1e-4, atol=1e-5)


def test_the_loudest_direction_is_the_largest_eigenvector():
    x = torch.randn(50, 12, generator=torch.Generator().manual_seed(1))
    x[0, 3] = 100.0
    stream = Hessian(12)
    stream.add(x)
    u, expected = why.loudest(stream.matrix), torch.linalg.eigh(stream.matrix)[1][:, -1]
    assert (u @ expected).abs() == pytest.approx(1, abs=1e-9)
    w = torch.randn(4, 12, generator=torch.Generator().manual_seed(2))
    ours = common.FastGPTQ(3, 4).quantize(w, stream)
    theirs = GPTQ(3, 4).quantize(w, stream)
    assert torch.equal(ours.codes, theirs.codes)
    deaf = why.Deaf(3, 4).quantize(w, stream)
    assert not torch.equal(deaf.codes, theirs.codes)
