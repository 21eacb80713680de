"""Batch normalization by shifts: every product has a power of two for a factor.

    AP2(x) = sign(x) 2^round(log2 |x|)
    c = x − mean(x)     v = mean(c AP2(c))     y = AP2(γ) (c AP2(1 / √(v + ε))) + β

In hardware a product with a power of two is a shift of bits, or a sum of exponents; in
this file it is an ordinary product, for the numbers. Guarantee: AP2(x) is within a
factor of √2 of x, so v is within one of the variance, and y's deviation within
2^(1/4) · 2^(1/2) of γ's, times another √2 for AP2(γ). Backward, AP2 is the identity.

Read in order: `power_of_two`, `shift_batch_norm`.  Taught in notebooks/08.
Source: Courbariaux et al. 2016, arXiv:1602.02830, algorithm 3.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class _PowerOfTwo(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.where(x == 0, 0.0, x.sign() * x.abs().log2().round().exp2())

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g


def power_of_two(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """AP2: the nearest power of two by its exponent, with the sign of x; 0 for 0.

    Backward it is the identity.
    """
    return _PowerOfTwo.apply(x)


def shift_batch_norm(
    x: Float[Tensor, "batch features"],
    gamma: Float[Tensor, " features"],
    beta: Float[Tensor, " features"],
    eps: float = 1e-4,
) -> Float[Tensor, "batch features"]:
    """y of a batch, by its own mean and variance; ValueError for a batch of one row."""
    if len(x) < 2:
        raise ValueError(f"a batch of {len(x)} rows has no variance")
    c = x - x.mean(0)
    variance = (c * power_of_two(c)).mean(0)
    return c * power_of_two((variance + eps).rsqrt()) * power_of_two(gamma) + beta
