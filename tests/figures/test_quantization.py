"""The drawings of lecture 03 show what they claim to show."""

import matplotlib.pyplot as plt
import pytest
import torch

from lib.bench import recall
from lib.figures import quantization as draw
from lib.quant import Histogram, fit_grid, static_grid


@pytest.fixture(autouse=True)
def figures_are_closed():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_number_lines_draw_every_level_and_label_every_weight():
    w = torch.tensor([[-1.0, 0.0, 3.0]])
    grid = fit_grid(w, bits=4, group="tensor", symmetric=True)
    (axis,) = draw.number_lines(w, {"four bits": grid}).axes
    drawn = sum(len(strokes.get_segments()) for strokes in axis.collections)
    assert drawn == 15
    assert sorted(t.get_text() for t in axis.texts) == ["-2", "0", "7"]
    assert "5 of 15 levels beyond w" in axis.get_title()


def test_activation_ranges_draw_one_bar_a_rule():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    seen = Histogram().observe(x)
    rules = {rule: static_grid(seen, rule) for rule in ("minmax", "percentile")}
    _, bottom = draw.activation_ranges(seen, rules).axes
    assert len(bottom.lines) == 2


def test_perplexity_is_drawn_from_the_kept_run():
    results = recall("linear_perplexity").results
    points = [p for p in results["weights"] if not p["clipped"]]
    figure = draw.perplexity_by_bits(points, results["baseline"]["perplexity"])
    labels = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert labels[:2] == ["tensor", "channel"] and "symmetric group 64" in labels
