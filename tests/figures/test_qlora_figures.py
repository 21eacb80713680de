"""Lecture 10's drawings show what they claim."""

import pytest
import torch

from lib.figures.qlora import (
    before_and_after,
    losses_by_type,
    memory_bars,
    residency,
    steps,
    updates_beside_gaps,
)
from lib.train.pages import Pages


def test_terms_stand_end_to_end_in_gigabytes(legible, texts_of):
    figure = memory_bars(
        {"a": {"x": 3e9, "y": 1e9}, "b": {"x": 3e9, "z": 2e9}}, limit=4.5e9
    )
    (ax,) = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert bars == [(0, 3), (3, 1), (0, 3), (3, 2)]
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] == colours[2] and len(set(colours)) == 3
    assert {"a: 4.0", "b: 5.0", "x", "y", "z", "4.5 GB"} <= set(texts_of(figure))
    legible(figure)


def test_bars_are_the_stays_of_pages_in_the_fast_memory(legible):
    pages = Pages(3, 1, capacity=8)  # room for two
    for page in (0, 1, 2, 2, 1, 0):
        pages.touch(page)
    figure = residency(pages.moves, pages=3, clock=pages.clock, marks={3: "now"})
    (ax,) = figure.axes
    stays = []
    for bars in ax.collections:
        for path in bars.get_paths():
            (x0, y0), (x1, _) = path.vertices.min(0), path.vertices.max(0)
            stays.append((round(y0 + 0.4), round(x0), round(x1)))
    assert sorted(stays) == [(0, 0, 2), (0, 5, 6), (1, 1, 6), (2, 2, 5)]
    legible(figure)


def test_losses_are_dots_with_their_numbers(legible, texts_of):
    states = [("before", 3.0), ("after", 2.5)]
    figure = before_and_after({"text": states, "other": [("before", 2.9)]})
    dots = [line.get_xydata()[0].tolist() for line in figure.axes[0].lines]
    assert dots == [[3.0, 0.0], [2.5, 1.0]]
    assert {"text", "other", "before", "after", "3.000", "2.500"} <= set(
        texts_of(figure)
    )
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    legible(figure)


def test_every_update_and_every_gap_is_counted(legible):
    draw = torch.Generator().manual_seed(0)
    update, needed = (torch.rand(500, generator=draw) * k + k for k in (1e-4, 1e-2))
    (ax,) = updates_beside_gaps(update, needed).axes
    counts = [bar.get_height() for bar in ax.patches]
    assert sum(counts[:80]) == pytest.approx(500, abs=2)
    assert sum(counts[80:]) == pytest.approx(500, abs=2)
    assert ax.get_xscale() == "log"
    legible(ax.figure)


def test_every_run_is_a_line_from_before_to_after(legible):
    rows = [
        {"base": base, "seed": seed, "help_before": 3.0 + i, "help_after": 2.0 + seed}
        for i, base in enumerate(("one", "two"))
        for seed in (0, 1)
    ]
    figure = losses_by_type(rows, ["one", "two"])
    (ax,) = figure.axes
    ends = [tuple(line.get_ydata()) for line in ax.lines if len(line.get_xdata()) == 2]
    runs = {(3.0, 2.0), (3.0, 3.0), (4.0, 2.0), (4.0, 3.0)}
    assert runs <= set(ends), "besides, the dots of two seeds"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["one", "two"]
    legible(figure)


def test_a_step_is_a_bar_beside_its_floor(legible):
    rows = [
        {"way": way, "size": size, "ms": ms}
        for way, size, ms in (
            ("ours", "a", 2.0),
            ("theirs", "a", 5.0),
            ("ours", "b", 4),
        )
    ]
    figure = steps(rows, {"a": 1.0, "b": 3.0})
    widths = [[bar.get_width() for bar in ax.patches] for ax in figure.axes]
    assert widths == [[2.0, 5.0], [4.0]]
    assert [ax.lines[0].get_xdata()[0] for ax in figure.axes] == [1.0, 3.0]
    legible(figure)
