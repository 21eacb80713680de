"""The figures of lectures 04 and 05 draw what their docstrings say."""

import pytest
import torch

from lib.figures import codebooks, outliers
from lib.quant.codebooks.normal_float import normal_float_levels


def test_activation_maps_share_one_scale():
    x = torch.linspace(-8, 7.9, 60).view(6, 10)
    figure = outliers.activation_maps({"small": x / 8, "large": x})
    maps = figure.axes[:2]
    assert {ax.images[0].norm.vmax for ax in maps} == {8.0}
    assert [ax.get_title(loc="left") for ax in maps] == ["small", "large"]
    for ax, drawn in zip(maps, (x / 8, x), strict=True):
        expected = drawn.abs().clamp(min=8 / 1000)
        assert torch.allclose(torch.from_numpy(ax.images[0].get_array().data), expected)
    figure.canvas.draw()


def test_code_histograms_count_different_codes():
    codes = torch.tensor([-127, 0, 0, 3, 127], dtype=torch.int8)
    figure = outliers.code_histograms({"a": codes, "b": codes[1:3]})
    left, right = figure.axes
    bars = [(b.get_x() + b.get_width() / 2, b.get_height()) for b in left.patches]
    assert dict(bars) == pytest.approx({-127: 1, 0: 2, 3: 1, 127: 1})
    assert left.texts[0].get_text() == "4 different codes"
    assert right.texts[0].get_text() == "1 different codes"
    figure.canvas.draw()


def test_channels_are_sorted_by_the_first_panels_activations():
    x, w = torch.tensor([1.0, 4.0, 2.0]), torch.tensor([1.0, 2.0, 3.0])
    figure = outliers.channel_ranges({"a": (x, w), "b": (w, x)})
    drawn = [[list(line.get_ydata()) for line in ax.lines] for ax in figure.axes]
    x_sorted, w_sorted = [4.0, 2.0, 1.0], [2.0, 3.0, 1.0]
    assert drawn == [[x_sorted, w_sorted], [w_sorted, x_sorted]]
    figure.canvas.draw()


def test_every_bar_says_its_number(legible):
    groups = {"a": {"x": 20.0, "y": 1234.5}, "b": {"x": 10.25}}
    figure = outliers.perplexity_bars(groups, baseline=10.0)
    (ax,) = figure.axes
    texts = {t.get_text(): t.get_position() for t in ax.texts}
    assert texts.keys() == {"20.00", "1,234", "10.25"}
    for bar, value, text in zip(
        ax.patches, (20.0, 1234.5, 10.25), texts.values(), strict=True
    ):
        assert bar.get_height() == value
        assert text[0] == pytest.approx(bar.get_x() + bar.get_width() / 2)
    same = [bar.get_facecolor() for bar in ax.patches]
    assert same[0] == same[2] != same[1], "a method keeps its colour"
    assert ax.lines[0].get_ydata()[0] == 10.0
    figure.canvas.draw()


def test_alpha_curves_are_per_cent():
    figure = outliers.error_by_alpha([0.0, 0.5], {"a": [0.5, 0.01], "b": [1.0, 0.2]})
    first, second = figure.axes[0].lines
    assert list(first.get_xdata()) == list(second.get_xdata()) == [0, 0.5]
    assert list(first.get_ydata()) == pytest.approx([50, 1])
    assert list(second.get_ydata()) == pytest.approx([100, 20])
    assert (first.get_label(), second.get_label()) == ("a", "b")
    figure.canvas.draw()


def test_every_level_is_a_stroke():
    alphabets = {"NF4": normal_float_levels(), "NF3": normal_float_levels(3)}
    figure = codebooks.level_lines(alphabets)
    (ax,) = figure.axes
    _, four, _, three = ax.collections
    for strokes, levels in zip((four, three), alphabets.values(), strict=True):
        drawn = [stroke[0][0] for stroke in strokes.get_segments()]
        assert drawn == pytest.approx(levels.tolist())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["NF4", "NF3"]
    heights = [part.get_segments()[0][:, 1].mean() for part in (four, three)]
    assert heights == list(ax.get_yticks())
    figure.canvas.draw()


def test_shares_under_the_curve_are_the_normals():
    levels = normal_float_levels()
    figure = codebooks.levels_under_normal(levels, 1.85)
    (ax,) = figure.axes
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(0)) / 1.85
    z = z[z.abs() < 3 / 1.85]
    nearest = (z[:, None] - levels).abs().argmin(1).bincount(minlength=16)
    *shares, label = [text.get_text() for text in ax.texts]
    assert label == "share, %"
    measured = (100 * nearest / 200_000).tolist()
    assert [int(share) for share in shares] == pytest.approx(measured, abs=0.8)
    strokes = ax.collections[-1].get_segments()
    drawn = [stroke[0][0] for stroke in strokes]
    assert drawn == pytest.approx((1.85 * levels).tolist())
    density = torch.distributions.Normal(0, 1).log_prob(1.85 * levels).exp()
    assert [s[1][1] for s in strokes] == pytest.approx(density.tolist())
    figure.canvas.draw()


def test_lloyd_paths_draw_every_level():
    draw = torch.Generator().manual_seed(1)
    paths, w = torch.rand(5, 4, generator=draw), torch.randn(100, generator=draw)
    figure = codebooks.lloyd_paths(paths, w)
    left, right = figure.axes
    drawn = torch.tensor([list(line.get_ydata()) for line in left.lines])
    assert torch.equal(drawn.float(), paths.T)
    counted = sum(bar.get_width() for bar in right.patches)
    assert counted == 100, "the histogram holds every weight"
    low, high = left.get_ylim()
    assert low <= paths.min() and high >= paths.max()
    figure.canvas.draw()


def test_equal_use_of_sixteen_codes_is_four_bits():
    usage = {
        "even": torch.arange(16).repeat(3),
        "halves": torch.tensor([0, 15, 15, 0]),
        "one": torch.zeros(5, dtype=torch.long),
    }
    figure = codebooks.code_usage(usage)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    bits = [float(title.split(": ")[1].split()[0]) for title in titles]
    assert [title.split(":")[0] for title in titles] == list(usage)
    assert bits == [4.0, 1.0, 0.0]
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    assert heights == [50.0] + [0.0] * 14 + [50.0]
    assert [ax.lines[0].get_ydata()[0] for ax in figure.axes] == [6.25] * 3
    figure.canvas.draw()


def test_constants_are_counted_over_the_levels_of_the_map():
    constants = torch.rand(256, generator=torch.Generator().manual_seed(2))
    levels = torch.linspace(-1, 1, 256)
    figure = codebooks.constants_histogram(constants, levels)
    (ax,) = figure.axes
    bars = [bar for bar in ax.patches if bar.get_height()]
    assert sum(bar.get_height() for bar in bars) == 256
    centred = constants - constants.mean()
    ends = centred.aminmax()
    largest = centred.abs().max()
    assert bars[0].get_x() == pytest.approx((ends.min / largest).item(), abs=1e-6)
    right = bars[-1].get_x() + bars[-1].get_width()
    assert right == pytest.approx((ends.max / largest).item(), abs=1e-6)
    strokes = [stroke[0][0] for stroke in ax.collections[0].get_segments()]
    assert strokes == pytest.approx(levels.tolist())
    figure.canvas.draw()


def test_perplexity_is_a_line_a_family_sorted_by_bits(legible):
    rows = [
        {"family": family, "bits_per_weight": bits, "perplexity": 10.0 + k / bits}
        for k, family in enumerate(("a", "b"))
        for bits in (4.5, 2.5, 3.5)
    ]
    figure = codebooks.perplexity_by_bits(rows, baseline=9.0, top=40.0)
    (ax,) = figure.axes
    drawn = {line.get_label(): line for line in ax.lines}
    assert list(drawn) == ["a", "b", "fp32"]
    for k, name in enumerate("ab"):
        assert list(drawn[name].get_xdata()) == [2.5, 3.5, 4.5]
        expected = [10 + k / bits for bits in (2.5, 3.5, 4.5)]
        assert list(drawn[name].get_ydata()) == pytest.approx(expected)
    assert drawn["fp32"].get_ydata()[0] == 9.0
    assert ax.get_ylim()[1] == 40.0 and ax.get_yscale() == "log"
    legible(figure)
