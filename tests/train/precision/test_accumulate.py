"""Sums in few bits: the bounds of truncation, and what promotion leaves of them."""

import pytest
import torch

from lib.train.precision.accumulate import promoted, truncate, truncated_sum
from lib.train.precision.fp8 import deepseek_v3
from lib.train.precision.matmul import linear


def positive(rows, summed, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(rows, summed, generator=draw)


def test_truncation_cuts_towards_zero_by_less_than_a_gap():
    x = torch.randn(10_000, generator=torch.Generator().manual_seed(0)) * 1e3
    y = truncate(x, 14)
    assert (y.abs() <= x.abs()).all() and (y * x >= 0).all()
    assert ((x - y).abs() < 2.0**-13 * x.abs()).all()
    assert torch.equal(truncate(y, 14), y)
    assert torch.equal(truncate(x, 24), x)
    assert truncate(torch.tensor([1 + 2**-13, 1 + 2**-14]), 14).tolist() == [
        1 + 2**-13,
        1,
    ]


@pytest.mark.parametrize("summed", [32, 100, 4096])
def test_errors_are_bounded_and_towards_zero(summed):
    a, b = positive(8, summed), positive(8, summed, seed=1)
    exact = a.double() @ b.double().T
    own = 1e-5 * exact  # fp32's
    for product, cuts in (
        (truncated_sum(a, b), -(-summed // 32)),
        (promoted(a, b), min(4, -(-summed // 32))),
    ):
        error = exact - product.double()
        assert (error > -own).all()
        assert (error < cuts * 2.0**-13 * exact + own).all()


def test_long_sums_need_promotion():
    a, b = positive(16, 4096), positive(16, 4096, seed=1)
    exact = a.double() @ b.double().T
    lost = [(1 - f(a, b) / exact).mean().item() for f in (truncated_sum, promoted)]
    assert lost[0] > 10 * lost[1] > 0


def test_a_recipe_can_add_up_so():
    draw = torch.Generator().manual_seed(0)
    x, w = torch.rand(4, 1024, generator=draw), torch.rand(4, 1024, generator=draw)
    plain, cut = (linear(x, w, deepseek_v3(promote=p)) for p in (False, True))
    assert not torch.equal(plain, cut)
    assert (plain - cut).abs().max() < 0.01 * plain.max()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: truncate(torch.ones(3, dtype=torch.float64), 14), "float64"),
        (lambda: truncate(torch.ones(3), 25), "25"),
        (lambda: truncated_sum(torch.ones(2, 4), torch.ones(2, 4), terms=0), "terms=0"),
        (lambda: promoted(torch.ones(2, 4), torch.ones(2, 4), every=40), "every=40"),
    ],
)
def test_what_makes_no_sense_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
