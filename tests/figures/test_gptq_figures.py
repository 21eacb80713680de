"""Lecture 06's drawings show what they claim."""

import matplotlib.pyplot as plt
import pytest
import torch

from lib.bench.record import recall
from lib.figures.gptq import (
    _front,
    against_bits,
    bars,
    cancelling,
    frames_of,
    second_moment,
    sensitivities,
    travelling,
    valley,
)
from lib.quant.solvers.gptq import GPTQ, gptq
from lib.quant.uniform.grouped import round_to_nearest

COLS = 24


@pytest.fixture(autouse=True)
def without_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture
def layer():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(100, COLS, generator=draw) @ torch.randn(COLS, COLS, generator=draw)
    return torch.randn(6, COLS, generator=draw), (2 / 100 * x.T @ x).double()


def test_the_last_frame_is_gptq_and_without_cancelling_rounding(layer):
    w, h = layer
    rtn = round_to_nearest(w, bits=3, group=COLS)
    ours = gptq(w, h, GPTQ(3, COLS, static_groups=True))
    for compensate, end in ((True, ours), (False, rtn)):
        stops = [0, 7, COLS]
        frames, curve = frames_of(w, h, rtn.grid, stops, compensate=compensate)
        assert frames[0].abs().max() == 0 and len(curve) == COLS
        assert torch.allclose(frames[-1], end.dequantize() - w, atol=1e-6)
        moved = frames[1][:, 7:].abs().max()
        assert (moved > 0) == compensate, "columns to come move only to compensate"
    figure = cancelling(frames, stops, curve, curve)
    assert len(figure.subfigs) == 2


def test_a_front_falls_as_bits_rise():
    points = [(2.0, 80.0), (3.0, 90.0), (3.5, 40.0), (4.0, 40.0), (5.0, 30.0)]
    assert _front(points) == [(2.0, 80.0), (3.5, 40.0), (5.0, 30.0)]


def test_every_method_of_the_table_is_drawn():
    rows = recall("ptq_perplexity").results["rows"]
    rows = [row for row in rows if row["table"] in ("methods", "groups")]
    figure = against_bits(rows, "hamlet", ceiling=500.0, title="Hamlet")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[1:] == ["round to nearest", "NF4", "AWQ", "GPTQ", "SpQR"]


def test_the_others_are_drawn(layer):
    w, h = layer
    second_moment(h, largest=8)
    bars({"one": 0.1, "two": 0.2}, "error")
    travelling({"one": [0.0, 0.1, 0.2], "two": [0.0, 0.2, 0.3]})
    sensitivities(w.square(), (w > 1).float())
    pair, moment = torch.tensor([0.4, 1.4]), torch.eye(2)
    figure = valley(pair, moment, {"nearest": pair.round()})
    assert figure.axes[0].get_xlabel() == "$w_1$"
