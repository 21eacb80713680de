"""Seeds are the same run in any company; every table runs, small, on a processor."""

import argparse
import json

import pytest
import torch

from lib.bench.precision import divergence, fp8
from lib.bench.precision.gpt import (
    Shape,
    batches,
    held_out,
    letter_losses,
    logits,
    start,
)
from lib.bench.pruning.characters import texts
from lib.bench.record import Run
from lib.bench.registry import BENCHMARKS

SMALL = Shape(width=8, blocks=2, heads=2, window=8)


@pytest.mark.parametrize("after", [False, True])
def test_a_seed_is_the_same_run_in_any_company(after):
    shape = Shape(width=8, blocks=2, heads=2, window=8, after=after)
    runs = [
        divergence.train(
            divergence.Job("fp32", 0.01, shape, seeds, steps=5, batch=2),
            divergence.ARMS["fp32"],
        )[0]
        for seeds in ((0, 1, 2), (2,))
    ]
    assert torch.allclose(runs[0][:, 2:], runs[1], rtol=1e-5)
    assert not torch.allclose(runs[0][:, :1], runs[0][:, 1:2], rtol=1e-3)


def test_a_seed_that_is_lost_is_lost_alone():
    net = start(SMALL, [0, 1])
    net["0.up"][0, 0, 0] = torch.nan
    losses = letter_losses(net, held_out(SMALL, 4).expand(2, 4, -1), SMALL)
    assert losses.isfinite().tolist() == [False, True]


def test_letters_see_none_that_follow():
    net = start(SMALL, [0])
    net["head"] = torch.randn_like(net["head"])
    ids = held_out(SMALL, 1)[None, :, :-1]
    other = ids.clone()
    other[..., -1] += 1
    a, b = logits(net, ids, SMALL), logits(net, other, SMALL)
    assert torch.allclose(a[:, :-1], b[:, :-1]) and not torch.allclose(
        a[:, -1], b[:, -1]
    )


def test_frequencies_are_what_the_constant_says():
    share = torch.bincount(texts()[0]).double() / len(texts()[0])
    entropy = -(share * share.clamp(min=1e-300).log()).sum().item()
    assert pytest.approx(entropy, abs=0.005) == divergence.FREQUENCIES


def test_ends_are_told_apart():
    losses = torch.tensor([[4.0, 4.0, 4.0]] * 30 + [[2.0, 3.3, torch.nan]] * 20)
    end, best = divergence.spans(losses)
    assert [divergence.diverged(e) for e in divergence.finite(end)] == [
        False,
        True,
        True,
    ]
    assert best[0] == 2.0 and best[2] == 4.0


def test_the_first_loss_is_that_of_no_knowledge():
    runs = held_out(SMALL, 2)[None]
    assert letter_losses(start(SMALL, [3]), runs, SMALL).item() == pytest.approx(
        4.1589, abs=1e-3
    )
    assert torch.equal(
        batches([5], SMALL, steps=3, batch=2)[0],
        batches([4, 5], SMALL, steps=3, batch=2)[1],
    )


def run_small(name, tmp_path, words):
    module = BENCHMARKS[name].load()
    parser = argparse.ArgumentParser()
    module.add_options(parser, name)
    options = parser.parse_args(words.split())
    run = Run(name, f"python -m lib.bench {name}", "abc", tmp_path)
    assert module.main(run, name, options)
    return json.loads((tmp_path / f"{name}.json").read_text())["results"]


@pytest.mark.parametrize("name", ["divergence", "weights"])
def test_every_arm_runs(name, tmp_path):
    words = "--seeds 2 --steps 22 --rates 0.01 --width 16 --blocks 1 --window 16"
    rows = run_small(name, tmp_path, words)["rows"]
    assert [row["arm"] for row in rows] == [*divergence.TABLES[name]]
    assert all(row["end"][0] < 4 and len(row["curves"][0]) == 2 for row in rows)
    assert len({row["end"][0] for row in rows}) > 1, "the arms do differ"


def test_fp8_runs_and_learns(tmp_path):
    results = run_small("fp8", tmp_path, "--steps 20 --rate 0.01 --seeds 1")
    assert [one["arm"] for one in results["training"]] == ["bf16", "fp8"]
    bf16, eight = (one["test"] for one in results["training"])
    assert eight == pytest.approx(bf16, abs=0.05) and bf16 < 4
    assert {*results["products"][0]["microseconds"]} >= {"bf16", "ready", "with casts"}
    assert fp8.ARMS.keys() > {"bf16", "fp8"}
