"""Lecture 11's drawings show what they claim."""

import pytest
import torch
from matplotlib.axes import Axes

from lib.figures.pruning import (
    columns_leaving,
    curves,
    gate_histograms,
    head_map,
    seeds,
    two_scores,
)


def test_both_matrices_are_written_and_what_is_kept_is_bold(legible):
    w = torch.tensor([[4.0, -1, 2], [3, 5, -6]])
    norm = torch.tensor([1.0, 10, 2])
    kept = torch.tensor([[True, False, True], [False, True, False]])
    figure = two_scores(w, norm, kept, ~kept)
    left, right = figure.axes
    for ax, values, mask in ((left, w, kept), (right, w.abs() * norm, ~kept)):
        at = {(t.get_position()[1], t.get_position()[0]): t for t in ax.texts}
        assert len(at) == 6
        for (i, j), text in at.items():
            assert text.get_text() == f"{values[i, j]:g}"
            assert (text.get_weight() == "bold") == mask[i, j]
        assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "10", "2"]
    legible(figure)


def test_frames_share_one_scale_of_colours(legible):
    w = torch.randn(70, 12, generator=torch.Generator().manual_seed(0))
    frames = [w, w * (torch.arange(12) > 5), torch.zeros_like(w)]
    figure = columns_leaving(frames, [0, 6, 12])
    panels = [ax for ax in figure.axes if "done" in ax.get_title(loc="left")]
    assert len(panels) == 3
    for ax, frame, stop in zip(panels, frames, (0, 6, 12), strict=True):
        (image,) = ax.images
        assert torch.equal(torch.from_numpy(image.get_array().data), frame[:16, :96])
        assert ax.lines[0].get_xdata()[0] == stop - 0.5
    limits = {ax.images[0].get_clim() for ax in panels}
    assert len(limits) == 1
    ((low, high),) = limits
    assert low == -high, "0 is white"
    figure.canvas.draw()


def test_a_line_runs_through_the_means_and_bars_span_the_range():
    series = {"one": {0.5: [3.0, 1.0, 2.0], 0.1: [1.0]}, "two": {0.2: [4.0]}}
    figure = curves(
        series, xlabel="x", ylabel="y", baseline=("whole", 0.5), log=True, ticks=(1, 4)
    )
    (ax,) = figure.findobj(Axes)
    lines = {line.get_label(): line for line in ax.lines}
    first = ax.containers[0]
    assert first.lines[0].get_xydata().tolist() == [[0.1, 1.0], [0.5, 2.0]]
    bars = first.lines[2][0].get_segments()
    assert bars[1][:, 1].tolist() == pytest.approx([1.0, 3.0])
    assert lines["whole"].get_ydata()[0] == 0.5 and ax.get_yscale() == "log"
    (legend,) = figure.legends
    names = {text.get_text() for text in legend.get_texts()}
    assert names == {"one", "two", "whole"}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["1", "4"]
    figure.canvas.draw()


def test_every_seed_is_a_dot_and_the_mean_a_stroke(legible):
    groups = {"A": {"ticket": [1.0, 3.0], "random mask": [4.0]}, "B": {"x": [2.0]}}
    figure = seeds(groups, ylabel="nats", baseline=("dense", 0.5))
    left, right = figure.axes
    dots = [line.get_ydata() for line in left.lines if line.get_marker() == "o"]
    assert [list(d) for d in dots] == [[1.0, 3.0], [4.0]]
    strokes = [c.get_segments()[0][0][1] for c in left.collections]
    assert strokes == [2.0, 4.0]
    labels = [t.get_text() for t in left.get_xticklabels()]
    assert labels == ["ticket", "random\nmask"]
    assert left.get_title(loc="left") == "A" and right.get_title(loc="left") == "B"
    legible(figure)


def test_the_crosses_are_on_the_least_heads(legible):
    scores = torch.tensor([[3.0, 1.0, 2.0], [0.5, 4.0, 5.0]])
    figure = head_map(scores, 2)
    ax = figure.axes[0]
    (crosses,) = ax.lines
    at = set(
        zip(crosses.get_xdata().tolist(), crosses.get_ydata().tolist(), strict=True)
    )
    assert at == {(1, 0), (0, 1)}
    assert torch.equal(torch.from_numpy(ax.images[0].get_array().data), scores.T)
    legible(figure)


def test_the_share_of_zeros_is_in_the_title():
    figure = gate_histograms({"a": torch.tensor([0.0, 0, 1, 0.5]), "b": torch.ones(4)})
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["a: 50% exactly 0", "b: 0% exactly 0"]
    assert sum(patch.get_height() for patch in figure.axes[0].patches) == 4
