"""Learned grids: each row of their table, against differences and autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant.aware.lsq import ends_to_grid, first_scale, gradient_scale, lsq
from lib.quant.aware.ste import round_ste
from lib.quant.uniform.grid import Grid, dequantize, quantize

GROUPS, SIZE = 2, 5


def drawn(seed, bits):
    draw = torch.Generator().manual_seed(seed)
    w = torch.randn(3, GROUPS * SIZE, generator=draw, dtype=torch.float64)
    scale = torch.rand(3, GROUPS, generator=draw, dtype=torch.float64) + 0.05
    zero = torch.rand(3, GROUPS, generator=draw, dtype=torch.float64) * 2**bits
    g = torch.randn(w.shape, generator=draw, dtype=torch.float64)
    return w, scale, zero, g


cases = given(bits=st.integers(1, 5), seed=st.integers(0, 9999))


@settings(max_examples=40)
@cases
def test_the_forward_pass_is_the_grids_where_the_zero_is_a_code(bits, seed):
    w, scale, zero, _ = drawn(seed, bits)
    high = 2**bits - 1
    zero = zero.round().clamp(0, high)
    grid = Grid(scale, zero.int(), 0, high)
    expected = dequantize(quantize(w, grid), grid)
    torch.testing.assert_close(lsq(w, scale, zero, 0, high), expected)


@settings(max_examples=40)
@cases
def test_gradients_are_autograds_of_clip_and_round_straight_through(bits, seed):
    w, scale, zero, g = drawn(seed, bits)
    high = 2**bits - 1
    ours = [t.clone().requires_grad_() for t in (w, scale, zero)]
    lsq(*ours, 0, high).backward(g)
    leaves = [t.clone().requires_grad_() for t in (w, scale, zero)]
    s, z = leaves[1][..., None], leaves[2][..., None]
    u = leaves[0].unflatten(1, (GROUPS, SIZE)) / s + z
    w_hat = s * (round_ste(u.clamp(0, high)) - z)
    w_hat.flatten(1).backward(g)
    for mine, theirs in zip(ours, leaves, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


@settings(max_examples=40)
@cases
def test_gradients_are_differences_with_the_rounding_errors_held(bits, seed):
    w, scale, zero, g = drawn(seed, bits)
    high, h = 2**bits - 1, 1e-6
    u = w.unflatten(1, (GROUPS, SIZE)) / scale[..., None] + zero[..., None]
    if (torch.minimum(u.abs(), (u - high).abs()) < 1e-3).any():
        return  # at a kink there are two slopes
    r = u.clamp(0, high).round() - u.clamp(0, high)

    def held(w, scale, zero):
        s, z = scale[..., None], zero[..., None]
        q = (w.unflatten(1, (GROUPS, SIZE)) / s + z).clamp(0, high) + r
        return (g * (s * (q - z)).flatten(1)).sum()

    leaves = [t.clone().requires_grad_() for t in (w, scale, zero)]
    lsq(*leaves, 0, high).backward(g)
    for k, leaf in enumerate(leaves):
        args = [w, scale, zero]
        finite = torch.empty_like(leaf)
        for at in range(leaf.numel()):
            step = torch.zeros_like(leaf)
            step.view(-1)[at] = h
            up, down = ([*args[:k], args[k] + d, *args[k + 1 :]] for d in (step, -step))
            finite.view(-1)[at] = (held(*up) - held(*down)) / (2 * h)
        torch.testing.assert_close(leaf.grad, finite, atol=1e-5, rtol=1e-5)


@settings(max_examples=40)
@cases
def test_ends_learn_by_the_table(bits, seed):
    w, scale, _, g = drawn(seed, bits)
    alpha, beta = (-scale).requires_grad_(), (2 * scale).clone().requires_grad_()
    s, z = ends_to_grid(alpha, beta, bits)
    n = 2**bits - 1
    lsq(w, s, z, 0, n).backward(g)
    runs = w.unflatten(1, (GROUPS, SIZE))
    low, high = alpha.detach()[..., None], beta.detach()[..., None]
    u = (runs - low) / (high - low) * n
    below, above = u < 0, u > n
    r = u.round() - u
    r[below | above] = 0
    by_alpha = (g.view_as(u) * (below.double() - r / n)).sum(-1)
    by_beta = (g.view_as(u) * (above.double() + r / n)).sum(-1)
    torch.testing.assert_close(alpha.grad, by_alpha)
    torch.testing.assert_close(beta.grad, by_beta)
    w_hat = lsq(w, s, z, 0, n).unflatten(1, (GROUPS, SIZE)).detach()
    torch.testing.assert_close(w_hat[below], low.expand_as(u)[below])
    torch.testing.assert_close(w_hat[above], high.expand_as(u)[above])


def test_one_weight_of_each_kind_by_hand():
    w = torch.tensor([[-2.0, 0.4, 9.0]], requires_grad=True)
    scale = torch.tensor([[0.5]], requires_grad=True)
    zero = torch.tensor([[1.0]], requires_grad=True)
    lsq(w, scale, zero, 0, 3).backward(torch.tensor([[1.0, 10, 100]]))
    assert w.grad.tolist() == [[0, 10, 0]]
    # below: 0 − 1; inside: u = 1.8, q − u = 0.2; above: 3 − 1
    assert scale.grad.item() == pytest.approx(-1 + 10 * 0.2 + 100 * 2)
    assert zero.grad.item() == pytest.approx(-0.5 - 50)


def test_a_scale_learns_to_fit_weights(generator):
    w = torch.randn(4, 64, generator=generator)
    rho = first_scale(w, 1, 1).mul(4).log().requires_grad_()
    zero = torch.zeros(4, 1)
    optimizer = torch.optim.Adam([rho], lr=0.05)
    errors = []
    for _ in range(60):
        error = (lsq(w, rho.exp(), zero, -1, 1) - w).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]


def test_the_first_scale_and_the_gradients_factor():
    w = torch.tensor([[1.0, -3, 0, 0]])
    assert first_scale(w, 2, 4).tolist()[0][0] == 2.0
    assert first_scale(w, 2, 4)[0, 1] > 0
    assert gradient_scale(25, 4) == 0.1


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ((torch.ones(2, 3), torch.ones(2, 2), torch.ones(2, 2), 0, 3), "do not fit"),
        ((torch.ones(2, 4), torch.ones(2, 2), torch.ones(2, 1), 0, 3), "do not fit"),
        ((torch.ones(2, 4), torch.zeros(2, 2), torch.ones(2, 2), 0, 3), "positive"),
        ((torch.ones(2, 4), torch.ones(2, 2), torch.ones(2, 2), 3, 3), "fewer"),
    ],
)
def test_what_is_no_grid_is_refused(args, match, as_a_user):
    with pytest.raises(ValueError, match=match):
        lsq(*args)


def test_ends_and_groups_that_are_none_are_refused():
    one = torch.ones(1, 1)
    with pytest.raises(ValueError, match="bits=9"):
        ends_to_grid(-one, one, 9)
    with pytest.raises(ValueError, match="β − α is 0"):
        ends_to_grid(one, one, 2)
    with pytest.raises(ValueError, match="3 groups"):
        first_scale(torch.ones(2, 4), 3, 1)
