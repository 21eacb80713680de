"""What lecture 07's figures draw is what they were given."""

import math

import pytest
import torch

from lib.figures.rotations import channels, codes


def test_maps_share_a_scale_and_hide_nothing_that_is_large(legible):
    maps = {"a": torch.tensor([[1.0, 100.0]]), "b": torch.tensor([[-10.0, 0.0]])}
    figure = channels.channel_maps(maps)
    legible(figure)
    left, right = (ax.images[0] for ax in figure.axes[:2])
    assert left.norm is right.norm or left.get_clim() == right.get_clim()
    assert left.get_array().tolist() == [[1.0, 100.0]]
    assert right.get_array().tolist() == [[10.0, pytest.approx(0.1)]]


def test_signs_are_black_and_white():
    figure = channels.sign_matrices({"two": torch.tensor([[1.0, 1.0], [1.0, -1.0]])})
    assert figure.axes[0].images[0].get_array().tolist() == [[1.0, 1.0], [1.0, -1.0]]


def test_every_group_has_every_bar(legible):
    groups = {
        "plain": {"none": 20.0, "top": 10.0},
        "turned": {"none": 500.0, "top": 12.0},
    }
    figure = channels.bars_by_group(groups, ylabel="perplexity", floor=5.0)
    ax = figure.axes[0]
    legible(figure)
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == [20.0, 500.0, 10.0, 12.0]
    assert {text.get_text() for text in ax.texts} == {"20.0", "500", "10.0", "12.0"}
    assert ax.get_ylim()[0] == 5


def test_the_ladder_is_in_units_of_shannons_limit():
    rows = [{"code": "x", "bits": b, "mse": [2 * 4.0**-b, 4.0**-b]} for b in (2, 1)]
    line = codes.distortion_ladder(rows).axes[0].lines[0]
    assert list(line.get_xdata()) == [1, 2]
    assert list(line.get_ydata()) == [1.5, 1.5]


def roots():
    """The 240 shortest vectors of E8."""
    trits = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 8)
    half = torch.cartesian_prod(*[torch.tensor([-0.5, 0.5])] * 8)
    whole = trits[trits.square().sum(1) == 2]
    return torch.cat([whole, half[half.sum(1) % 2 == 0]])


def test_e8s_roots_lie_on_eight_circles_of_thirty():
    flat = codes.coxeter_plane(roots())
    radius, count = flat.norm(dim=1).mul(1e6).round().unique(return_counts=True)
    assert len(radius) == 8 and set(count.tolist()) == {30}
    angle = 2 * math.pi / 30
    turn = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
    )
    assert torch.cdist(flat @ turn.T, flat).amin(1).max() < 1e-6
    assert len(codes.e8_roots(roots()).axes[0].collections[0].get_offsets()) == 240


def test_the_path_follows_branches():
    levels, states = torch.linspace(-1, 1, 8), torch.tensor([0, 1, 3, 6])
    figure = codes.trellis_path(levels, torch.zeros(4), states, bits=1)
    branches = {
        (int(line.get_ydata()[0]), int(line.get_ydata()[1]))
        for line in figure.axes[0].lines[:-1]
    }
    assert branches == {(s, (2 * s + b) % 8) for s in range(8) for b in (0, 1)}
    path = figure.axes[0].lines[-1].get_ydata()
    assert list(path) == [0, 1, 3, 6]


def test_a_tuned_point_is_filled():
    common = {"method": "E8P", "bits_per_weight": 2.0}
    rows = [{**common, "tuned": "no", "t": 50.0}, {**common, "tuned": "c", "t": 40.0}]
    ax = codes.bits_and_perplexity(rows, baseline=20.0, text="t").axes[0]
    before, after = ax.lines[:2]
    assert before.get_markerfacecolor() == "white" != after.get_markerfacecolor()
    assert [list(line.get_ydata()) for line in (before, after)] == [[50.0], [40.0]]
