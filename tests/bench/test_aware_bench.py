"""Lecture 08's benchmarks run in small, and compare like with like."""

import argparse
import json

import torch

from lib.bench.aware import binary, characters_aware, data_free
from lib.bench.pruning.characters import logits, start, train
from lib.bench.record import Run


def test_rounding_is_seen_by_the_products_and_gradients_reach_the_grids():
    net = start(0)
    for bits, levels in ((2, 4), (None, 3)):
        rounded = characters_aware.nearest(net, bits)
        one = rounded["w2"][0, :64]
        assert len(one.unique()) <= levels
        assert torch.equal(rounded["w3"], net["w3"])
    again = {"steps": 2, "seed": 0, "rate": 1e-3}
    after = characters_aware.train_rounded(net, 2, learned=True, **again)
    begun = characters_aware.Form(2).grids(net)
    assert not torch.equal(after["w1.rho"], begun["w1.rho"])
    assert len(after["w2"][0, :64].unique()) <= 4
    fixed = characters_aware.train_rounded(net, 2, learned=False, **again)
    assert "w1.rho" not in fixed


def test_one_seed_has_every_number_and_its_controls():
    row = characters_aware.measure(0, steps=2, more=1)
    assert {"float", "float_more", "float_scratch"} < row.keys()
    assert row["2 bits"].keys() >= {"nearest", "fixed", "learned", "scratch"}
    assert row["ternary"].keys() >= {"nearest", "trained", "scratch"}


def test_a_binarized_net_has_signs_in_it_and_its_weights_stay_small():
    x = torch.randint(0, 64, (16, 8), generator=torch.Generator().manual_seed(0))
    net = binary.begin(0)
    outputs = {kind: binary.forward_of(kind)(net, x) for kind in binary.KINDS}
    assert torch.equal(outputs["deterministic"], outputs["stochastic"]), "in a test"
    assert not torch.equal(outputs["deterministic"], outputs["float"])
    halved = net | {f"w{i}": net[f"w{i}"] / 2 for i in (1, 2, 3)}
    again = binary.forward_of("deterministic")(halved, x)
    assert torch.equal(again, outputs["deterministic"]), "only signs count"
    found, losses = binary.curve("stochastic", 0, 0.1, 25)
    assert list(found) == [25] and len(losses) == 25


def test_what_is_trained_may_see_other_weights():
    net = start(0)
    doubled = train(
        net,
        steps=1,
        seed=0,
        forward=lambda net, x: logits({**net, "w3": 0 * net["w3"]}, x),
    )
    assert torch.equal(doubled["w3"], net["w3"]), "no gradient came through 0"


def test_jobs_differ_and_are_balanced_by_seed():
    rows = data_free.jobs(3)
    assert len(set(rows)) == len(rows)
    seeds = [j.seed for j in rows if (j.method, j.bits) == ("trained", 2)]
    assert all(seeds.count(seed) == 4 for seed in range(3))


def test_a_small_run_trains_packs_and_records(tmp_path, monkeypatch):
    jobs = data_free.jobs(1)
    few = [jobs[0], *(j for j in jobs if j.layers == "few" and j.texts == "own")]
    monkeypatch.setattr(data_free, "jobs", lambda seeds: few)
    monkeypatch.setattr(data_free, "RATES", (1e-3, 3e-3))
    monkeypatch.setattr(data_free, "WINDOW", 32)
    monkeypatch.setattr(data_free, "HELD_OUT", 8)
    plays = torch.zeros(8, 32, dtype=torch.long)
    monkeypatch.setattr(data_free, "calibration_windows", lambda *_, **__: plays)
    options = argparse.Namespace(
        model="student",
        device="cpu",
        steps=1,
        texts=8,
        writing=16,
        group=32,
        seeds=1,
        tokens=512,
    )
    run = Run("data_free_cpu", "python -m lib.bench data_free", "abc", tmp_path)
    assert data_free.main(run, "data_free", options)
    results = json.loads((tmp_path / "data_free_cpu.json").read_text())["results"]
    whole, gptq, trained = results["rows"]
    assert results["rate"] in (1e-3, 3e-3) and len(trained["losses"]) == 1
    assert 2 < trained["bits_per_weight"] <= gptq["bits_per_weight"] < 3
    assert whole["hamlet"] < trained["hamlet"]
