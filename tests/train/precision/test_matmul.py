"""`linear`: three products, each with its own operands, summed axis last."""

import pytest
import torch
from torch import nn

from lib.formats import BF16, FP16, TF32, round_to
from lib.train.precision.matmul import (
    BF16_RECIPE,
    FP16_RECIPE,
    TF32_RECIPE,
    Product,
    Recipe,
    computed_by,
    exact,
    linear,
)


def operands(*, stacked=False, seed=0):
    draw = torch.Generator().manual_seed(seed)
    nets = (3,) if stacked else ()
    x = torch.randn(*nets, 10, 6, generator=draw, dtype=torch.float64)
    w = torch.randn(*nets, 4, 6, generator=draw, dtype=torch.float64)
    dy = torch.randn(*nets, 10, 4, generator=draw, dtype=torch.float64)
    return x.requires_grad_(), w.requires_grad_(), dy


@pytest.mark.parametrize("stacked", [False, True])
def test_without_rounding_it_is_a_linear_layer(stacked):
    x, w, dy = operands(stacked=stacked)
    y = linear(x, w)
    ours = torch.autograd.grad(y, (x, w), dy)
    theirs = torch.autograd.grad(x @ w.mT, (x, w), dy)
    assert torch.equal(y, x @ w.mT)
    assert all(
        torch.allclose(a, b, rtol=1e-14) for a, b in zip(ours, theirs, strict=True)
    )


def test_tokens_may_have_any_shape():
    _, w, _ = operands()
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    assert torch.allclose(linear(x, w), x @ w.T)
    assert linear(x[0, 0], w).shape == (4,)


def test_each_operand_meets_its_own_quantizer_with_the_summed_axis_last():
    met = {}

    def spy(name, factor):
        def quantizer(a):
            met[name] = tuple(a.shape)
            return factor * a

        return quantizer

    recipe = Recipe(
        Product(spy("X", 2.0), spy("W", 3.0)),
        Product(spy("dY", 5.0), spy("Wᵀ", 7.0)),
        Product(spy("dYᵀ", 11.0), spy("Xᵀ", 13.0)),
    )
    x, w, dy = operands()
    y = linear(x, w, recipe)
    dx, dw = torch.autograd.grad(y, (x, w), dy)
    assert met == {
        "X": (10, 6),
        "W": (4, 6),
        "dY": (10, 4),
        "Wᵀ": (6, 4),
        "dYᵀ": (4, 10),
        "Xᵀ": (6, 10),
    }
    assert torch.allclose(y, 6 * x @ w.T)
    assert torch.allclose(dx, 35 * dy @ w), "Dgrad takes its own roundings of dY and W"
    assert torch.allclose(dw, 143 * dy.T @ x), "Wgrad takes its own of dY and X"


def test_only_what_waits_for_the_backward_pass_is_kept_rounded():
    x, w, dy = operands()
    recipe = Recipe(kept=lambda a: 2 * a)
    y = linear(x, w, recipe)
    dx, dw = torch.autograd.grad(y, (x, w), dy)
    assert torch.equal(y, x @ w.T) and torch.allclose(dx, dy @ w)
    assert torch.allclose(dw, 2 * dy.T @ x)


def test_no_product_is_made_for_nobody():
    x, w, dy = operands()
    counted = []

    def counting(a, b):
        counted.append(1)
        return a @ b.mT

    recipe = Recipe(dgrad=Product(multiply=counting), wgrad=Product(multiply=counting))
    linear(x.detach(), w, recipe).backward(dy)
    assert len(counted) == 1 and x.grad is None


@pytest.mark.parametrize(
    ("recipe", "fmt", "dtype"),
    [(BF16_RECIPE, BF16, torch.bfloat16), (FP16_RECIPE, FP16, torch.float16)],
)
def test_rounded_operands_are_the_half_precision_product(recipe, fmt, dtype):
    """Torch's own product of 16-bit operands, but for the order of its fp32 sums."""
    x, w, dy = (t.detach().float() for t in operands(seed=1))
    x, w = x.requires_grad_(), w.requires_grad_()
    y = linear(x, w, recipe)
    dx, dw = torch.autograd.grad(y, (x, w), dy)
    low = [t.detach().to(dtype) for t in (x, w, dy)]
    theirs = low[0] @ low[1].T, low[2] @ low[1], low[2].T @ low[0]
    for a, b in zip((y, dx, dw), theirs, strict=True):
        assert torch.equal(round_to(a, fmt), a), "what leaves is in the format"
        assert torch.allclose(a, b.float(), rtol=fmt.epsilon, atol=1e-6)


def test_tf32_rounds_operands_and_nothing_else():
    x, w, _ = (t.detach().float() for t in operands())
    assert torch.equal(
        linear(x, w, TF32_RECIPE), round_to(x, TF32) @ round_to(w, TF32).T
    )
    assert not torch.equal(linear(x, w, TF32_RECIPE), linear(x, w))


def test_layers_multiply_by_their_recipe_inside_only():
    layer, other = nn.Linear(6, 4), nn.Linear(6, 4, bias=False)
    x = torch.randn(5, 6)
    before = layer(x)
    with computed_by({layer: Recipe(Product(lambda a: 0 * a, exact))}):
        assert torch.equal(layer(x), layer.bias.expand(5, 4))
        assert torch.allclose(other(x), x @ other.weight.T)
    assert torch.equal(layer(x), before)


@pytest.mark.parametrize(
    ("x", "w"),
    [((5, 6), (4, 7)), ((5, 6), (6,)), ((2, 5, 6), (3, 4, 6)), ((5, 6), (3, 4, 6))],
)
def test_shapes_that_do_not_fit_are_told(x, w):
    with pytest.raises(ValueError, match=str(w[-1])):
        linear(torch.ones(x), torch.ones(w))
