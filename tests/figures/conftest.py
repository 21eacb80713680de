"""Figures are drawn as lectures draw them, without a window, and closed."""

import itertools

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from lib.figures.theme import use_theme


@pytest.fixture(autouse=True)
def themed():
    plt.switch_backend("agg")
    with plt.rc_context():
        use_theme()
        yield
    plt.close("all")


def points_of(ax):
    """Where the data of lines and scattered points are, in pixels."""
    for line in ax.lines:
        yield from line.get_transform().transform(line.get_xydata())
    for dots in ax.collections:
        if len(dots.get_offsets()) > 1:
            yield from dots.get_offset_transform().transform(dots.get_offsets())


@pytest.fixture
def legible():
    """Draw it (warnings are errors): texts lie apart, a legend beside the data."""

    def check(figure):
        figure.canvas.draw()
        for ax in figure.findobj(Axes):
            texts = [text for text in ax.texts if text.get_text()]
            for one, other in itertools.combinations(texts, 2):
                overlap = one.get_window_extent().overlaps(other.get_window_extent())
                assert not overlap, f"{one.get_text()!r} covers {other.get_text()!r}"
            if legend := ax.get_legend():
                box = legend.get_window_extent()
                covered = [xy for xy in points_of(ax) if box.contains(*xy)]
                assert not covered, f"the legend covers {len(covered)} points"

    return check


@pytest.fixture
def texts_of():
    """Every text on a figure, drawn."""

    def find(figure):
        figure.canvas.draw()
        return [text.get_text() for text in figure.findobj(Text) if text.get_text()]

    return find
