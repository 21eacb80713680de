"""One linear layer is three matrix products, and each rounds its own two operands.

    Fprop   Y  = X Wᵀ       summed over the inputs' channels
    Dgrad   dX = dY W       summed over the outputs' channels
    Wgrad   dW = dYᵀ X      summed over the tokens

Each is A Bᵀ with the summed axis last in both: A, B = X, W; dY, Wᵀ; dYᵀ, Xᵀ. That is
how matrix units want their operands, and why X, W and dY are each rounded twice, once
as they are and once transposed: a quantizer sees an operand with the summed axis last,
and may cut blocks along it.

    A Bᵀ  becomes  out(multiply(left(A), right(B)))

Guarantee: with the identity everywhere, `linear` and its gradients are x @ w.T's. The
rounding itself counts as the identity in the backward pass (straight-through).

Read in order: `Product`, `Recipe`, `linear`, `computed_by`. Taught in notebooks/09.
Source: Micikevicius et al. 2018, arXiv:1710.03740; the names Fprop, Dgrad and Wgrad are
those of DeepSeek-AI 2024, arXiv:2412.19437, figure 6.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.formats import BF16, FP16, TF32, FloatFormat, round_to

# (*batch, rows, summed) → the same, rounded; or codes and scales, where the product's
# `multiply` takes those.
Operand = Callable[[Tensor], Any]


def exact(a: Tensor) -> Tensor:
    """No rounding."""
    return a


def multiply(
    a: Float[Tensor, "*batch rows summed"], b: Float[Tensor, "*batch cols summed"]
) -> Float[Tensor, "*batch rows cols"]:
    """A Bᵀ in the operands' own precision."""
    return a @ b.mT


@dataclass(frozen=True)
class Product:
    """A Bᵀ of rounded operands: how each is rounded, the sum taken, the result kept."""

    left: Operand = exact
    right: Operand = exact
    out: Callable[[Tensor], Tensor] = exact
    multiply: Callable[[Any, Any], Tensor] = multiply

    def __call__(
        self,
        a: Float[Tensor, "*batch rows summed"],
        b: Float[Tensor, "*batch cols summed"],
    ) -> Float[Tensor, "*batch rows cols"]:
        """out(multiply(left(a), right(b)))."""
        return self.out(self.multiply(self.left(a), self.right(b)))


@dataclass(frozen=True)
class Recipe:
    """The three products of a layer, and in what X waits for the backward pass."""

    fprop: Product = Product()
    dgrad: Product = Product()
    wgrad: Product = Product()
    kept: Callable[[Tensor], Tensor] = exact

    @classmethod
    def of(cls, operand: Operand, out: Operand = exact) -> "Recipe":
        """The same rounding of every operand, and of every result."""
        product = Product(operand, operand, out)
        return cls(product, product, product)


CASTS = {BF16: torch.bfloat16, FP16: torch.float16}


def in_format(fmt: FloatFormat) -> Operand:
    """To the nearest number of `fmt`, and infinity beyond its largest."""

    def rounded(a: Tensor) -> Tensor:
        if fmt in CASTS and a.dtype == torch.float32:
            return a.to(CASTS[fmt]).to(a.dtype)  # the processor's own rounding
        return round_to(a, fmt)

    return rounded


# As tensor cores and autocast do it: operands rounded, products exact, sums in fp32,
# and Y, dX and dW written in the format.
TF32_RECIPE = Recipe.of(in_format(TF32))
BF16_RECIPE = Recipe.of(in_format(BF16), in_format(BF16))
FP16_RECIPE = Recipe.of(in_format(FP16), in_format(FP16))


def linear(
    x: Float[Tensor, "*x"], w: Float[Tensor, "*w"], recipe: Recipe | None = None
) -> Float[Tensor, "*y"]:
    """Y = X Wᵀ, whose three products are those of `recipe` (by default not rounded).

    x (*tokens, in) and w (out, in) give y (*tokens, out); a stack of matrices, w
    (*nets, out, in), takes x (*nets, n, in). ValueError where the shapes do not fit.
    """
    stacked = w.ndim > 2
    fits = x.ndim >= 1 and w.ndim >= 2 and x.shape[-1] == w.shape[-1]
    if not fits or (stacked and x.shape[:-2] != w.shape[:-2]):
        raise ValueError(f"x of {tuple(x.shape)} does not go with w {tuple(w.shape)}")
    rows = x if stacked else x.reshape(-1, x.shape[-1])
    y = _Linear.apply(rows, w, recipe or Recipe())
    return y if stacked else y.view(*x.shape[:-1], -1)


class _Linear(torch.autograd.Function):
    """The three products; nothing else of the layer is rounded."""

    @staticmethod
    def forward(ctx, x: Tensor, w: Tensor, recipe: Recipe) -> Tensor:
        ctx.save_for_backward(recipe.kept(x), w)
        ctx.recipe = recipe
        return recipe.fprop(x, w)

    @staticmethod
    def backward(ctx, dy: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (x, w), recipe = ctx.saved_tensors, ctx.recipe
        wants_x, wants_w, _ = ctx.needs_input_grad
        dx = recipe.dgrad(dy, w.mT) if wants_x else None
        dw = recipe.wgrad(dy.mT, x.mT) if wants_w else None
        return dx, dw, None


@contextmanager
def computed_by(layers: Mapping[nn.Linear, Recipe]) -> Iterator[None]:
    """Inside, these layers multiply by their recipes; afterwards as before."""
    for layer, recipe in layers.items():
        layer.forward = _forward(layer, recipe)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: nn.Linear, recipe: Recipe) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        y = linear(x, layer.weight, recipe)
        return y if layer.bias is None else y + layer.bias

    return forward
