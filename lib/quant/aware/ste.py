"""The straight-through estimator: a gradient for what has none.

    forward     u = w / s + z     q = round(clip(u, low, high))     ŵ = s (q − z)
    backward    ∂ŵ/∂w := 1 where low <= u <= high, and 0 where the clip holds u

The true slope of `round` is 0 wherever it has one, so nothing would ever learn. Two
guarantees:
- The forward pass is `dequantize(quantize(w, grid), grid)`, bit for bit.
- The backward pass is no approximation of another function: it is the exact gradient of
  s (clip(u) + r − z), in which the rounding errors r = q − clip(u) are constants.

Read in order: `straight_through`, `round_ste`, `fake_quantize_ste`.  Taught in
notebooks/08.
Source: Bengio et al. 2013, arXiv:1308.3432; after Hinton's lectures of 2012.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lib.quant.uniform.grid import Grid, dequantize, quantize


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rounded: Tensor) -> Tensor:
        return rounded.clone()  # a view of it would carry its history

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return g, None


def straight_through(
    x: Float[Tensor, "*shape"], rounded: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """`rounded` forward, whatever made it of x; backward the identity of x."""
    return _StraightThrough.apply(x, rounded.detach())


def round_ste(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The nearest integer, ties to even; backward the identity."""
    return straight_through(x, x.round())


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, w: Tensor, grid: Grid) -> Tensor:
        u = grid.runs_of(w) / grid.scale[..., None] + grid.zero[..., None]
        ctx.save_for_backward(((u >= grid.low) & (u <= grid.high)).flatten(1))
        return dequantize(quantize(w, grid), grid).to(w.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return g * inside, None


def fake_quantize_ste(
    w: Float[Tensor, "rows cols"], grid: Grid
) -> Float[Tensor, "rows cols"]:
    """ŵ on a grid that stays as it is, in the dtype of w; the gradient goes to w alone.

    Between the two passes it keeps a byte a weight: what lay inside. ValueError as
    `quantize`.
    """
    return _FakeQuantize.apply(w, grid)
