"""The ladder's rungs stand where theory has them; a row of two_bits holds its bits."""

import argparse

import pytest
import torch

from lib.bench.vectors import ladder, two_bits
from lib.quant.solvers.gptq import GPTQ


def mse(code, bits=2):
    return (ladder.drawn(5) - code(ladder.drawn(5))).square().mean().item()


def test_lloyd_max_has_its_known_errors_and_vectors_less():
    known = {1: 1 - 2 / torch.pi, 2: 0.1175, 3: 0.03454}  # Max 1960, table I
    for bits, error in known.items():
        assert mse(ladder.lloyd_max(bits)) == pytest.approx(error, rel=0.03)
    code, scale = ladder.scaled(ladder.trellis("3inst", 8, 2), ladder.drawn(1, 8))
    assert scale in ladder.SCALES
    for vectors in (code, ladder.scaled(ladder.lattice(2), ladder.drawn(1, 8))[0]):
        assert 2**-4 < mse(vectors) < known[2]


def test_a_job_gives_a_row_for_each_way_of_tuning(monkeypatch, tiny_llama):
    """A tiny model in place of SmolLM2, on tokens at random."""
    tokens = torch.randint(40, (3, 16), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(two_bits, "load_model", lambda: (tiny_llama, None))
    monkeypatch.setattr(two_bits, "calibration_windows", lambda *_, **__: tokens)
    monkeypatch.setattr(two_bits.EvaluationProtocol, "windows", lambda *_: tokens)
    options = argparse.Namespace(device="cpu", blocks=1, windows=3, steps=2, lr=1e-3)
    jobs = [
        two_bits.Job("GPTQ, best", GPTQ(2, 8), 0),
        two_bits.Job("additive", two_bits.AQLM(1, 2, 8, rounds=1), 0),
    ]
    plain, tuned, *others = (r for job in jobs for r in two_bits.measure(job, options))
    assert plain["bits_per_weight"] == tuned["bits_per_weight"] == 2 + 18 / 8
    assert [row["tuned"] for row in others] == [
        "no",
        "constants",
        "constants and codes",
    ]
    assert tuned["block_losses"][0][1] <= tuned["block_losses"][0][0]


def test_a_job_that_fails_says_why():
    job = two_bits.Job("no device", GPTQ(2, 8), 0)
    options = argparse.Namespace(device="nowhere")
    (row,) = two_bits._work((job, options))
    assert row["method"] == "no device" and "nowhere" in row["failed"]
