"""Learned grids: the scale and the zero, or the two ends, take part in the training.

    u = w / s + z      q = round(clip(u, low, high))      ŵ = s (q − z)

                   low <= u <= high      u < low        u > high
    ∂ŵ/∂w          1                     0              0
    ∂ŵ/∂s          q − u                 low − z        high − z
    ∂ŵ/∂z          0                     −s             −s
    ∂ŵ/∂α          −(q − u) / n          1              0          s = (β − α) / n
    ∂ŵ/∂β          (q − u) / n           0              1          z = −α / s

with n = high − low steps between the ends α and β, and low = 0 in the last two rows. A
weight inside moves the step by its rounding error alone, one outside by its whole code:
so rounding pulls the grid together, and clipping pulls it apart.

Guarantees: `lsq` is what autograd makes of clip, `round_ste` and the formula, but keeps
two tensors for the backward pass; for real z the last two rows are the chain rule.
An integer z keeps 0 a level (and the codes storable): give `round_ste(zero)`.

Read in order: `lsq`, `lsq_codes`, `ends_to_grid`, `first_scale`, `gradient_scale`.
Taught in notebooks/08.
Sources: LSQ: Esser et al. 2020, arXiv:1902.08153; with a zero, LSQ+: Bhalgat et al.
2020, arXiv:2004.09576; an end that learns, PACT: Choi et al. 2018, arXiv:1805.06085.
"""

from typing import Any

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.autograd.function import once_differentiable


class _LSQ(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, w: Tensor, scale: Tensor, zero: Tensor, low: int, high: int
    ) -> Tensor:
        u = _places(w, scale, zero)
        q = u.clamp(low, high).round()
        ctx.save_for_backward(u, scale, zero)
        ctx.low, ctx.high = low, high
        return (scale[..., None] * (q - zero[..., None])).flatten(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        u, scale, zero = ctx.saved_tensors
        g, q = g.view_as(u), u.clamp(ctx.low, ctx.high).round()
        inside = (u >= ctx.low) & (u <= ctx.high)
        by_w = g * inside
        by_s = (g * (q - torch.where(inside, u, zero[..., None]))).sum(-1)
        by_z = -scale * (g * ~inside).sum(-1)
        return by_w.flatten(1), by_s, by_z, None, None


def _places(w: Tensor, scale: Tensor, zero: Tensor) -> Float[Tensor, "rows groups k"]:
    """u: where each weight lies among the codes."""
    return w.unflatten(1, (scale.shape[1], -1)) / scale[..., None] + zero[..., None]


def lsq(
    w: Float[Tensor, "rows cols"],
    scale: Float[Tensor, "rows groups"],
    zero: Float[Tensor, "rows groups"],
    low: int,
    high: int,
) -> Float[Tensor, "rows cols"]:
    """ŵ with gradients for w, s and z: a grid for each run of cols / groups columns.

    `scale` is in the units of w and positive, `zero` in codes. ValueError for a scale
    that is not, shapes that do not fit, and fewer than two codes.
    """
    rows, groups = scale.shape
    if zero.shape != scale.shape or rows != w.shape[0] or w.shape[1] % max(groups, 1):
        raise ValueError(
            f"scale {tuple(scale.shape)} and zero {tuple(zero.shape)} do not fit "
            f"w {tuple(w.shape)}"
        )
    if not low < high:
        raise ValueError(f"codes {low} to {high} are fewer than two")
    if not (scale > 0).all():
        raise ValueError(f"a scale is not positive: {scale.min().item()}")
    return _LSQ.apply(w, scale, zero, low, high)


def lsq_codes(
    w: Float[Tensor, "rows cols"],
    scale: Float[Tensor, "rows groups"],
    zero: Float[Tensor, "rows groups"],
    low: int,
    high: int,
) -> Integer[Tensor, "rows cols"]:
    """q, the codes that `lsq` rounds to: what is stored when the training is over."""
    codes = _places(w.detach(), scale, zero).clamp(low, high).round().flatten(1)
    return codes.to(torch.uint8 if low >= 0 else torch.int8)


def ends_to_grid(
    alpha: Float[Tensor, "rows groups"], beta: Float[Tensor, "rows groups"], bits: int
) -> tuple[Float[Tensor, "rows groups"], Float[Tensor, "rows groups"]]:
    """s = (β − α) / (2^b − 1) and z = −α / s: the codes 0 and 2^b − 1 are α and β.

    Both can be differentiated. ValueError for bits outside 1 to 8, and ends of which α
    is not the lower one.
    """
    if bits not in range(1, 9):
        raise ValueError(f"bits={bits} is not in 1 to 8")
    if not (alpha < beta).all():
        raise ValueError(f"β − α is {(beta - alpha).min().item()} somewhere")
    scale = (beta - alpha) / (2**bits - 1)
    return scale, -alpha / scale


def first_scale(
    w: Float[Tensor, "rows cols"], groups: int, high: int
) -> Float[Tensor, "rows groups"]:
    """2 mean|w| / √high of each group: where LSQ begins; tiny where all of it is 0.

    ValueError for groups that do not divide the columns.
    """
    if groups < 1 or w.shape[1] % groups:
        raise ValueError(f"{groups} groups do not divide {w.shape[1]} columns")
    size = w.detach().abs().unflatten(1, (groups, -1)).mean(-1)
    return (2 * size / high**0.5).clamp(min=torch.finfo(w.dtype).tiny)


def gradient_scale(count: int, high: int) -> float:
    """1 / √(N high): what LSQ multiplies ∂L/∂s of N weights by, for plain SGD.

    A step then moves as much, for its size, as a weight does. Adam divides by the
    gradient's own size, so there the factor cancels.
    """
    return (count * high) ** -0.5
