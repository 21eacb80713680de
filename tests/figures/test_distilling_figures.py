"""Lecture 13's drawings show what they claim."""

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

from lib.figures.distilling import distillation
from lib.figures.distilling.slider import bars, slide

P = torch.tensor([0.7, 0.2, 0.1])


def test_a_panel_a_temperature_over_one_scale(legible):
    rows = {"T = 1": P, "T = 2": P.sqrt() / P.sqrt().sum()}
    figure = distillation.temperatures(rows, ["a", "b", "c"])
    axes = figure.findobj(Axes)
    for ax, (name, p) in zip(axes, rows.items(), strict=True):
        assert ax.get_title(loc="left") + ax.get_title() == name
        heights = [bar.get_height() for bar in ax.patches]
        assert heights == pytest.approx(p.tolist())
        assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    legible(figure)


def test_confusions_are_the_matrix_with_its_letters():
    p = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    ax = distillation.confusions(p, ["e", "a"]).axes[0]
    assert np.allclose(ax.images[0].get_array(), p)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["e", "a"]
    assert ax.images[0].get_clim()[0] == 0, "white is nothing"


def test_a_dot_a_seed_and_a_bar_at_the_mean(legible):
    values = {"gold": [3.0, 5.0, 4.0], "soft": [2.0, 2.5]}
    figure = distillation.seeds(values, x="bits", levels={"teacher": 1.0})
    (ax,) = figure.findobj(Axes)
    for place, each in enumerate(values.values()):
        dots, bar = ax.lines[2 * place : 2 * place + 2]
        assert sorted(dots.get_xdata()) == sorted(each)
        assert set(dots.get_ydata()) == {place}
        assert set(bar.get_xdata()) == {np.mean(each)}
    assert [t.get_text() for t in ax.get_yticklabels()] == list(values)
    assert ax.lines[-1].get_xdata()[0] == 1.0
    assert ax.yaxis_inverted(), "the first row is at the top"
    legible(figure)


def test_the_first_curve_is_an_area_and_the_others_are_named(texts_of):
    rows = {"p": P, "forward": P.flip(0), "reverse": P**2}
    figure = distillation.curves(rows, x="token", y="probability")
    (ax,) = figure.findobj(Axes)
    assert len(ax.lines) == 2 and len(ax.collections) == 1
    for line, row in zip(ax.lines, list(rows.values())[1:], strict=True):
        assert np.allclose(line.get_ydata(), row)
    assert set(rows) <= set(texts_of(figure))


def test_a_slider_moves_the_bars_of_a_softmax():
    shown = bars([2.0, 0.0], ["<b>", "c"], 2.0)
    p = torch.tensor([1.0, 0.0]).softmax(-1)
    assert f"{p[0]:.3f}" in shown and f"width:{p[1]:.1%}" in shown
    assert "&lt;b&gt;" in shown, "words are text"
    with pytest.raises(ValueError, match="temperature=0"):
        bars([1.0], ["a"], 0.0)
    box = slide([2.0, 0.0], ["a", "b"])
    slider, html = box.children
    before = html.value
    slider.value = 4.0
    assert html.value == bars([2.0, 0.0], ["a", "b"], 4.0) != before
