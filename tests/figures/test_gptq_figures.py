"""Lecture 06's drawings show what they claim."""

import pytest
import torch
from matplotlib.text import Annotation

from lib.bench.record import recall
from lib.figures.gptq import (
    METHOD_COLOURS,
    METHOD_NAMES,
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


@pytest.fixture
def layer():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(100, COLS, generator=draw) @ torch.randn(COLS, COLS, generator=draw)
    return torch.randn(6, COLS, generator=draw), (2 / 100 * x.T @ x).double()


def shown(ax):
    """The numbers of the one picture in these axes."""
    (image,) = ax.images
    return torch.from_numpy(image.get_array().filled(torch.nan)).double()


@pytest.mark.parametrize("compensate", [True, False])
def test_the_last_frame_is_gptq_and_without_cancelling_rounding(layer, compensate):
    w, h = layer
    rtn = round_to_nearest(w, bits=3, group=COLS)
    ours = gptq(w, h, GPTQ(3, COLS, static_groups=True))
    end = (ours if compensate else rtn).dequantize() - w
    frames, curve = frames_of(w, h, rtn.grid, [0, 7, COLS], compensate=compensate)
    assert len(frames) == 3 and len(curve) == COLS
    assert frames[0].abs().max() == 0
    assert torch.allclose(frames[2], end, atol=1e-6)
    error = torch.einsum("ri,ij,rj->", end.double(), h, end.double())
    assert curve[-1].item() == pytest.approx(error.item(), rel=1e-4)
    assert frames[1][:, :7].abs().max() > 0
    moved = frames[1][:, 7:].abs().max()
    assert (moved > 0) == compensate, "columns to come move only to compensate"


def test_the_strip_shows_the_frames_and_the_curves(layer):
    draw, stops = torch.Generator().manual_seed(1), [0, 7, COLS]
    frames = [torch.randn(70, COLS, generator=draw) for _ in stops]
    ours, plain = torch.rand(COLS, generator=draw), torch.rand(COLS, generator=draw) + 1
    figure = cancelling(frames, stops, ours, plain)
    top, bottom = figure.subfigs
    for ax, frame, stop in zip(top.axes, frames, stops, strict=False):
        assert torch.equal(shown(ax), frame[:64].double())
        assert ax.get_title(loc="left") == f"{stop} rounded"
        assert ax.lines[0].get_xdata()[0] == stop - 0.5
    limits = {image.get_clim() for ax in top.axes for image in ax.images}
    assert len(limits) == 1, "one scale of colours for all"
    ((low, high),) = limits
    assert low == -high
    curves = {line.get_label(): line.get_ydata() for line in bottom.axes[0].lines}
    assert list(curves["rounding alone"]) == plain.tolist()
    assert list(curves["rounding, then cancelling"]) == ours.tolist()
    figure.canvas.draw()


def test_a_front_falls_as_bits_rise():
    points = [(2.0, 80.0), (3.0, 90.0), (3.5, 40.0), (4.0, 40.0), (5.0, 30.0)]
    assert _front(points) == [(2.0, 80.0), (3.5, 40.0), (5.0, 30.0)]


def test_every_method_of_the_table_is_drawn_with_all_its_rows():
    rows = recall("ptq_perplexity").results["rows"]
    rows = [row for row in rows if row["table"] in ("methods", "groups")]
    figure = against_bits(rows, "hamlet", ceiling=500.0, title="Hamlet")
    (ax,) = figure.axes
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    (whole,) = {row["hamlet"] for row in rows if row["method"] == "float32"}
    assert labels == [
        f"float32: {whole:.1f}",
        *(METHOD_NAMES.get(method, method) for method in METHOD_COLOURS),
    ]
    assert ax.get_title(loc="left") == "Hamlet" and ax.lines[0].get_ydata()[0] == whole
    fronts = ax.lines[1:]
    assert len(fronts) == len(METHOD_COLOURS)
    for dots, method in zip(ax.collections, METHOD_COLOURS, strict=True):
        expected = sorted(
            (row["bits_per_weight"], row["hamlet"])
            for row in rows
            if row["method"] == method and row["hamlet"] and row["hamlet"] < 500
        )
        assert len(expected) > 1, method
        assert [tuple(xy) for xy in dots.get_offsets().tolist()] == expected
    for line in ax.lines[1:]:
        assert (line.get_xdata()[1:] > line.get_xdata()[:-1]).all()
        assert (line.get_ydata()[1:] < line.get_ydata()[:-1]).all()
    figure.canvas.draw()


def test_a_method_without_rows_below_the_ceiling_is_left_out():
    rows = [
        {"method": "float32", "text": 30.0, "bits_per_weight": 32},
        {"method": "GPTQ", "text": 45.0, "bits_per_weight": 4.5},
        {"method": "SpQR", "text": None, "bits_per_weight": 4.5},
        {"method": "AWQ", "text": 800.0, "bits_per_weight": 2.5},
    ]
    (ax,) = against_bits(rows, "text", ceiling=500.0, title="").axes
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["float32: 30.0", "GPTQ"]


def test_inputs_are_sorted_by_size_and_the_largest_correlated(layer, legible):
    _, h = layer
    figure = second_moment(h, largest=8)
    left, right, _ = figure.axes
    sizes = h.diagonal().sort(descending=True).values
    assert left.lines[0].get_ydata() == pytest.approx(sizes.numpy())
    assert left.get_yscale() == "log"
    order = h.diagonal().argsort(descending=True)[:8]
    size = h.diagonal()[order].sqrt()
    expected = h[order][:, order] / torch.outer(size, size)
    assert torch.allclose(shown(right), expected)
    assert right.images[0].get_clim() == (-1, 1)
    assert right.get_title(loc="left") == "correlation of the 8 largest"
    legible(figure)


def test_bars_are_as_long_as_their_numbers(legible, texts_of):
    figure = bars({"one": 0.1, "two": 0.25}, "error")
    (ax,) = figure.axes
    assert [bar.get_width() for bar in ax.patches] == [0.1, 0.25]
    assert {"one", "two", "0.1000", "0.2500", "error"} <= set(texts_of(figure))
    first, second = (bar.get_y() for bar in ax.patches)
    low, high = ax.get_ylim()
    assert (second > first) == (low > high), "the first bar stands above the second"
    legible(figure)


def test_errors_travel_from_the_second_block_on(legible):
    courses = {"one": [0.0, 0.1, 0.2], "two": [0.0, 0.2, 0.3]}
    figure = travelling(courses)
    (ax,) = figure.axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn == {name: course[1:] for name, course in courses.items()}
    assert all(list(line.get_xdata()) == [1, 2] for line in ax.lines)
    assert len({line.get_color() for line in ax.lines}) == 2
    assert ax.get_yscale() == "log"
    legible(figure)


def test_sensitivities_stand_beside_the_weights_that_are_kept(legible):
    s = torch.logspace(-3, 2, 70 * COLS).view(70, COLS)
    kept = (s > 10).float()
    figure = sensitivities(s, kept)
    top, bottom = figure.axes
    for line, expected in zip(top.lines, (s.amax(0), s.median(0).values), strict=True):
        assert line.get_ydata() == pytest.approx(expected.numpy())
    assert [bar.get_height() for bar in bottom.patches] == kept.sum(0).tolist()
    share = f"kept in fp16: {kept.mean():.1%} of the weights"
    assert bottom.get_title(loc="left") == share
    legible(figure)


def test_the_valley_has_the_weights_the_lattice_and_each_step(legible):
    w, h = torch.tensor([0.4, 1.4]), torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    first, end = torch.tensor([0.0, 1.4]), torch.tensor([1.0, 1.0])
    figure = valley(w, h, {"nearest": [w.round()], "cancelled": [first, end]})
    (ax,) = figure.axes
    points = {line.get_label(): line.get_xydata()[0].tolist() for line in ax.lines}
    assert points == {
        "the weights": pytest.approx([0.4, 1.4]),
        "nearest": [0.0, 1.0],
        "cancelled": [1.0, 1.0],
    }
    arrows = [text for text in ax.texts if isinstance(text, Annotation)]
    ends = [w.round(), first, end]
    assert [list(arrow.xy) for arrow in arrows] == [point.tolist() for point in ends]
    for arrow, start in zip(arrows, (w, w, first), strict=True):
        assert arrow.xyann == pytest.approx(start.tolist())
    contour, *lattice = ax.collections
    dots = {tuple(xy) for part in lattice for xy in part.get_offsets().tolist()}
    assert dots == {(i, j) for i in (-1, 0, 1) for j in (0, 1, 2)}
    for level, path in zip(contour.levels, contour.get_paths(), strict=True):
        delta = torch.from_numpy(path.vertices) - w
        error = torch.einsum("ni,ij,nj->n", delta, h.double(), delta)
        assert error.numpy() == pytest.approx(level, rel=0.05)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$w_1$", "$w_2$")
    assert ax.get_aspect() == 1
    legible(figure)
