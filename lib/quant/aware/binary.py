"""One bit: +1 or −1, with a gradient where the number is small.

    deterministic    b = +1 for x >= 0, else −1
    stochastic       b = +1 with p = clip((x + 1) / 2, 0, 1), else −1
    backward         ∂b/∂x := 1 for |x| <= 1, else 0

The mask is not arbitrary. The stochastic b has the mean E b = 2p − 1 = clip(x, −1, 1),
whose slope is the mask: so for whatever is linear in b the estimator is exact in the
mean. The deterministic b borrows it. A weight outside of [−1, 1] would never get a
gradient again, so `clip_weights` puts it back after each step.

Read in order: `binarize`, `binarize_randomly`, `clip_weights`. The product of two such
matrices is xnor.py, the normalization between them shift_norm.py. Taught in
notebooks/08.
Source: Courbariaux et al. 2016, arXiv:1602.02830, section 1. Its published code has no
such mask, and sign(0) = 0.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class _Binarize(torch.autograd.Function):
    """+1 where x >= the threshold, which is 0 or random; the mask backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: Tensor | float) -> Tensor:
        ctx.save_for_backward(x.abs() <= 1)
        return torch.where(x >= threshold, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (small,) = ctx.saved_tensors
        return g * small, None


def binarize(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The sign of each number, and +1 for ±0, in the dtype of x."""
    return _Binarize.apply(x, 0.0)


def binarize_randomly(
    x: Float[Tensor, "..."], generator: torch.Generator
) -> Float[Tensor, "..."]:
    """±1 with the mean clip(x, −1, 1); `generator` is on the device of x.

    A threshold is drawn evenly from (−1, 1] for each number: x is at least as large
    with the probability (x + 1) / 2, and |x| >= 1 leaves nothing to chance.
    """
    u = torch.rand(x.shape, generator=generator, device=x.device)  # in [0, 1)
    return _Binarize.apply(x, 1 - 2 * u)


@torch.no_grad()
def clip_weights(weights: Iterable[Tensor]) -> None:
    """Put each weight back into [−1, 1], in place: call it after every step."""
    for w in weights:
        w.clamp_(-1, 1)
