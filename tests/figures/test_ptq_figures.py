"""The figures of lectures 04 and 05 draw what their docstrings say."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch

from lib.figures import codebooks, outliers
from lib.quant.codebooks.normal_float import normal_float_levels


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_activation_maps_share_one_scale():
    x = torch.linspace(0.1, 8, 60).view(6, 10)
    figure = outliers.activation_maps({"small": x / 8, "large": x})
    limits = {ax.images[0].norm.vmax for ax in figure.axes[:2]}
    assert limits == {8.0}
    figure.canvas.draw()


def test_code_histograms_count_different_codes():
    codes = torch.tensor([-127, 0, 0, 3, 127], dtype=torch.int8)
    figure = outliers.code_histograms({"a": codes})
    assert figure.axes[0].texts[0].get_text() == "4 different codes"
    figure.canvas.draw()


def test_channels_are_sorted_by_their_activations():
    x, w = torch.tensor([1.0, 4.0, 2.0]), torch.tensor([1.0, 2.0, 3.0])
    figure = outliers.channel_ranges({"a": (x, w), "b": (w, x)})
    assert list(figure.axes[0].lines[0].get_ydata()) == [4.0, 2.0, 1.0]
    assert list(figure.axes[0].lines[1].get_ydata()) == [2.0, 3.0, 1.0]
    figure.canvas.draw()


def test_every_bar_says_its_number():
    groups = {"a": {"x": 20.0, "y": 1234.5}, "b": {"x": 10.25}}
    figure = outliers.perplexity_bars(groups, baseline=10.0)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert texts == {"20.00", "1,234", "10.25"}
    figure.canvas.draw()


def test_alpha_curves_are_per_cent():
    figure = outliers.error_by_alpha([0.0, 0.5], {"a": [0.5, 0.01]})
    assert list(figure.axes[0].lines[0].get_ydata()) == pytest.approx([50, 1])
    figure.canvas.draw()


def test_every_level_is_a_stroke():
    levels = normal_float_levels()
    figure = codebooks.level_lines({"NF4": levels, "NF3": normal_float_levels(3)})
    strokes = [len(c.get_segments()) for c in figure.axes[0].collections]
    assert strokes == [1, 16, 1, 8]
    figure.canvas.draw()


def test_shares_under_the_curve_add_up():
    figure = codebooks.levels_under_normal(normal_float_levels(), 1.85)
    shares = [t.get_text() for t in figure.axes[0].texts]
    assert sum(int(s) for s in shares if s.isdigit()) == pytest.approx(100, abs=8)
    figure.canvas.draw()


def test_lloyd_paths_draw_every_level():
    figure = codebooks.lloyd_paths(torch.rand(5, 4), torch.randn(100))
    assert len(figure.axes[0].lines) == 4
    figure.canvas.draw()


def test_equal_use_of_sixteen_codes_is_four_bits():
    usage = {
        "even": torch.arange(16).repeat(3),
        "one": torch.zeros(5, dtype=torch.long),
    }
    figure = codebooks.code_usage(usage)
    assert figure.axes[0].get_title() == "even: 4.00 bits used"
    figure.canvas.draw()


def test_constants_and_curves_draw():
    codebooks.constants_histogram(torch.rand(256), torch.linspace(-1, 1, 256))
    rows = [
        {"family": "a", "bits_per_weight": bits, "perplexity": 10.0 + 9 / bits}
        for bits in (4.5, 2.5)
    ]
    figure = codebooks.perplexity_by_bits(rows, baseline=9.0, top=40.0)
    assert list(figure.axes[0].lines[0].get_xdata()) == [2.5, 4.5]
    figure.canvas.draw()
