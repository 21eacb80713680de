"""Grids of groups: fp16 scales, the best of the clipped ranges, columns in place."""

import itertools

import pytest
import torch

from lib.quant.hessian import Hessian
from lib.quant.uniform.grid import Grid
from lib.quant.uniform.grouped import (
    GridSettings,
    Grouped,
    RoundToNearest,
    fit_groups,
    round_to_nearest,
)

ROWS, COLS, GROUP = 5, 24, 8
KINDS = [(2, False), (4, False), (3, True)]  # bits, symmetric


def normal(seed, rows=ROWS, cols=COLS):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(rows, cols, generator=draw, dtype=torch.float64)


def importance(seed, cols=COLS):
    return torch.rand(cols, generator=torch.Generator().manual_seed(seed)).double()


def losses(w, grid, weight):
    """Σ weight (w − ŵ)² of each group, each w at the nearest of all levels."""
    codes = torch.arange(grid.low, grid.high + 1)
    levels = grid.scale[..., None] * (codes - grid.zero[..., None])
    runs = w.unflatten(1, (grid.scale.shape[1], -1))
    moved = (runs[..., None] - levels[:, :, None]).abs().amin(-1)
    return (moved.square().flatten(1) * weight).view_as(runs).sum(-1)


@pytest.mark.parametrize("settings", [GridSettings, RoundToNearest])
@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("bits=0", {"bits": 0}),
        ("bits=9", {"bits": 9}),
        ("bits=1 with symmetric=True", {"bits": 1, "symmetric": True}),
        ("group=0", {"group": 0}),
        ("candidates=0", {"candidates": 0}),
    ],
)
def test_settings_name_the_field_that_no_grid_has(settings, field, given):
    with pytest.raises(ValueError, match=field):
        settings(**given)
    with pytest.raises(ValueError, match=field):
        fit_groups(normal(0), **({"bits": 4, "group": 8} | given))


def test_settings_at_their_ends_are_taken():
    for given in ({"bits": 1}, {"bits": 8}, {"bits": 2, "symmetric": True}):
        grid = GridSettings(**given, group=1).fit(normal(0))
        assert grid.bits == given["bits"] and grid.scale.shape == (ROWS, COLS)


@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_scales_are_fp16_numbers_and_zero_is_a_level(bits, symmetric):
    w = normal(1) * torch.logspace(-6, 3, ROWS, dtype=torch.float64)[:, None]
    for candidates in (1, 5):
        grid = fit_groups(
            w, bits=bits, group=GROUP, symmetric=symmetric, candidates=candidates
        )
        assert grid.scale.dtype == torch.float64
        assert torch.equal(grid.scale.half().double(), grid.scale)
        assert ((grid.zero >= grid.low) & (grid.zero <= grid.high)).all()
        assert (grid.low < 0) == symmetric and grid.bits == bits


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_the_search_keeps_the_best_of_its_ranges_in_every_group(
    bits, symmetric, weighted
):
    w, candidates = normal(2, rows=40), 6
    weight = importance(3) if weighted else torch.ones(COLS).double()
    kind = {"bits": bits, "group": GROUP, "symmetric": symmetric}
    tried = []
    for k in range(candidates):  # a share of the range is that range of smaller weights
        share = 1 - k / (2 * candidates)
        tried.append(losses(w, fit_groups(share * w, **kind), weight))
    best = torch.stack(tried).amin(0)
    assert (best < tried[0]).any(), "the whole range is best everywhere: a poor draw"
    found = fit_groups(
        w, **kind, importance=weight if weighted else None, candidates=candidates
    )
    torch.testing.assert_close(losses(w, found, weight), best, rtol=1e-9, atol=0)


def test_searching_longer_never_costs_error_in_any_group():
    w, weight = normal(4, rows=40), importance(5)
    grids = [
        fit_groups(w, bits=3, group=GROUP, importance=weight, candidates=n)
        for n in (1, 2, 4, 8, 16)  # each of these contains the one before
    ]
    for one, more in itertools.pairwise(grids):
        assert (losses(w, more, weight) <= losses(w, one, weight) * (1 + 1e-12)).all()


@pytest.mark.parametrize("settings", [(3, 8), (4, 24), (2, 8, True), (3, 8, False, 6)])
def test_rounding_to_nearest_leaves_each_weight_at_the_nearest_level(settings):
    w = normal(6)
    q = RoundToNearest(*settings).quantize(w)
    ones = torch.ones(COLS).double()
    moved = (w - q.dequantize()).square()
    expected = losses(w, q.grid, ones)
    runs = moved.unflatten(1, (expected.shape[1], -1))
    torch.testing.assert_close(runs.sum(-1), expected, rtol=1e-9, atol=0)


def test_the_method_is_the_function_and_reads_no_inputs():
    w, inputs = normal(7, rows=40).float(), Hessian(COLS)
    inputs.add(torch.randn(50, COLS, generator=torch.Generator().manual_seed(8)))
    method = RoundToNearest(3, 8, candidates=4)
    assert not method.calibrated
    plain = round_to_nearest(w, bits=3, group=8, candidates=4)
    for q in (method.quantize(w), method.quantize(w, inputs)):
        assert torch.equal(q.codes, plain.codes) and q.order is None
        assert torch.equal(q.grid.scale, plain.grid.scale)
        assert torch.equal(q.grid.zero, plain.grid.zero)
    weighed = round_to_nearest(
        w, bits=3, group=8, candidates=4, importance=importance(9)
    )
    assert not torch.equal(weighed.grid.scale, plain.grid.scale)


def test_an_order_says_which_group_a_column_was_cut_into():
    order = torch.tensor([2, 0, 3, 1])  # columns 2 and 0 make the first group
    scale, zero = torch.tensor([[0.5, 2.0]]), torch.tensor([[1, 3]])
    codes = torch.tensor([[4, 5, 6, 7]], dtype=torch.uint8)
    q = Grouped(codes, Grid(scale, zero, 0, 7), order)
    assert q.dequantize().tolist() == [[1.5, 4.0, 2.5, 8.0]]
    assert q.bits_per_weight == 3 + (16 + 3) / 2 + 16 / 1
    plain = Grouped(codes, Grid(scale, zero, 0, 7))
    assert plain.dequantize().tolist() == [[1.5, 2.0, 6.0, 8.0]]
    assert plain.bits_per_weight == 3 + (16 + 3) / 2


def test_a_symmetric_grid_stores_no_zeros():
    q = round_to_nearest(normal(10), bits=3, group=8, symmetric=True)
    assert q.bits_per_weight == 3 + 16 / 8
    assert q.codes.dtype == torch.int8 and q.codes.abs().max() == 3
