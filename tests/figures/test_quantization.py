"""The drawings of lecture 03 show what they claim to show."""

import pytest
import torch

from lib.bench import recall
from lib.figures import quantization as draw
from lib.quant import Histogram, fit_grid, static_grid

RULES = ["minmax", "percentile"]


def test_number_lines_draw_every_level_and_label_every_weight(legible):
    w = torch.tensor([[-1.0, 0.0, 3.0]])
    grid = fit_grid(w, bits=4, group="tensor", symmetric=True)
    figure = draw.number_lines(w, {"four bits": grid})
    (axis,) = figure.axes
    used, beyond = ([s[0][0] for s in c.get_segments()] for c in axis.collections)
    assert sorted(used + beyond) == pytest.approx([3 / 7 * q for q in range(-7, 8)])
    assert max(beyond) < -1 - 3 / 14 <= min(used) and len(beyond) == 5
    labels = {text.get_text(): text.get_position()[0] for text in axis.texts}
    assert labels == pytest.approx({"-2": -1.0, "0": 0.0, "7": 3.0})
    title = axis.get_title(loc="left")
    assert title == "four bits: step 0.4286, 5 of 15 levels beyond w"
    legible(figure)


def test_activation_ranges_draw_the_histogram_and_one_bar_a_rule():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    seen = Histogram().observe(x)
    rules = {rule: static_grid(seen, rule, share=0.9) for rule in RULES}
    figure = draw.activation_ranges(seen, rules)
    top, bottom = figure.axes
    dots = top.collections[0].get_offsets()
    assert dots[:, 1].sum() == 1000 and len(dots) == (seen.counts > 0).sum()
    bars = [line.get_xdata() for line in bottom.lines]
    ends = [x.min().item(), x.max().item()]
    assert bars[0] == pytest.approx(ends, abs=rules["minmax"].scale.item())
    assert bars[0][0] < bars[1][0] < bars[1][1] < bars[0][1]
    steps = [text.get_text() for text in bottom.texts]
    assert steps == [f"step {grid.scale.item():.3g}" for grid in rules.values()]
    assert [label.get_text() for label in bottom.get_yticklabels()] == RULES
    figure.canvas.draw()


def test_perplexity_is_drawn_from_the_kept_run():
    results = recall("linear_perplexity").results
    points = [p for p in results["weights"] if not p["clipped"]]
    baseline = results["baseline"]["perplexity"]
    figure = draw.perplexity_by_bits(points, baseline)
    (axis,) = figure.axes
    labels = [t.get_text() for t in axis.get_legend().get_texts()]
    assert labels[:2] == ["tensor", "channel"] and "symmetric group 64" in labels
    *curves, line = axis.lines
    assert line.get_ydata()[0] == baseline
    drawn = sorted(tuple(xy) for curve in curves for xy in curve.get_xydata())
    kept = [(p["bits_per_weight"], p["perplexity"]) for p in points]
    assert drawn == sorted(p for p in kept if p[1] <= 400) and len(drawn) > 10
    symmetric = next(c for c in curves if c.get_label() == "symmetric group 64")
    expected = [
        (p["bits_per_weight"], p["perplexity"])
        for p in points
        if p["group"] == 64 and p["symmetric"] and p["perplexity"] <= 400
    ]
    assert [tuple(xy) for xy in symmetric.get_xydata()] == sorted(expected)
    figure.canvas.draw()
