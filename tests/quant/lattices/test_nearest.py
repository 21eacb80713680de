"""The nearest points are nearest, and the moments are Conway and Sloane's."""

from fractions import Fraction
from itertools import product

import pytest
import torch

from lib.quant.lattices.moment import (
    E8_EDGES,
    dn_edges,
    sampled_moment,
    second_moment,
)
from lib.quant.lattices.nearest import nearest_dn, nearest_e8


def around(n, values):
    return torch.tensor(list(product(values, repeat=n)), dtype=torch.float64)


def least(x, points):
    """‖x − p‖² of the nearest of these points, which stand around 0."""
    return torch.cdist(x, points).amin(1).square()


def squared(x):
    return x.square().sum(-1)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_nearest_point_of_dn_is_nearest(n, generator):
    x = 2 * torch.rand(2000, n, generator=generator, dtype=torch.float64) - 1
    points = around(n, (-2.0, -1.0, 0.0, 1.0, 2.0))
    found = nearest_dn(x)
    assert (found.sum(-1) % 2 == 0).all() and torch.equal(found, found.round())
    best = least(x, points[points.sum(1) % 2 == 0])
    torch.testing.assert_close(squared(x - found), best, atol=1e-12, rtol=0)


def e8_around():
    """The points of E8 within reach of the cube [0, 1]⁸: its covering radius is 1."""
    near = []
    for start in (0.0, 0.5):  # the integers, and the halves
        corners = around(8, (start, start + 1) if start == 0 else (start,))
        steps = torch.cat([torch.eye(8), -torch.eye(8), torch.zeros(1, 8)]).double()
        near.append((corners[:, None] + steps).flatten(0, 1))
    points = torch.cat(near).unique(dim=0)
    return points[points.sum(1) % 2 == 0]


def test_the_nearest_point_of_e8_is_nearest(generator):
    x = torch.rand(3000, 8, generator=generator, dtype=torch.float64)
    found = nearest_e8(x)
    assert (found.sum(-1) % 2 == 0).all(), "both halves of E8 have even sums"
    doubled = 2 * found
    assert torch.equal(doubled, doubled.round())
    assert ((doubled % 2).sum(-1) % 8 == 0).all(), "all integers, or all halves"
    best = least(x, e8_around())
    assert (squared(x - found) <= best + 1e-12).all()


def test_the_nearest_point_moves_with_the_lattice(generator):
    x = torch.randn(500, 8, generator=generator, dtype=torch.float64)
    shift = nearest_e8(10 * torch.randn(500, 8, generator=generator).double())
    torch.testing.assert_close(nearest_e8(x + shift), nearest_e8(x) + shift)


def test_a_deep_hole_is_as_far_as_the_covering_radius():
    hole = torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0], dtype=torch.float64)
    assert squared(hole - nearest_e8(hole)) == 1
    assert squared(hole[:4] - nearest_dn(hole[:4])) == 1


def test_what_has_no_nearest_point_is_refused(as_a_user):
    with pytest.raises(ValueError, match="x has 7 coordinates"):
        nearest_e8(torch.zeros(7))
    with pytest.raises(ValueError, match="1 NaN"):
        nearest_dn(torch.tensor([0.0, torch.nan]))


def test_the_second_moments_are_those_of_the_tables():
    assert second_moment(E8_EDGES) == (Fraction(929, 12960), 1)
    assert second_moment([]) == (Fraction(1, 6), 2), "Z, stretched to √2 Z"
    assert second_moment([(0, 1)]) == (Fraction(5, 36), 3), "the hexagons"
    for n in (4, 5, 8):
        expected = Fraction(1, 12) + Fraction(1, 2 * n * (n + 1))
        assert second_moment(dn_edges(n)) == (expected, 4)


def test_the_interval_of_the_draws_holds_the_exact_moment():
    for nearest, edges in ((nearest_e8, E8_EDGES), (nearest_dn, dn_edges(8))):
        exact = float(second_moment(edges)[0])
        found = sampled_moment(nearest, 8, samples=50_000)
        assert abs(found.mean - exact) < 2 * found.margin, "four standard errors"
        assert found.margin < 0.01 * exact


def test_a_graph_that_is_no_root_lattice_is_refused():
    star = [(0, 1), (0, 2), (0, 3), (0, 4)]
    with pytest.raises(ValueError, match="no root lattice"):
        second_moment(star)
    with pytest.raises(ValueError, match="n=3"):
        dn_edges(3)
