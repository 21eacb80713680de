"""The nearest point of a lattice, exactly, in a few operations a coordinate.

    Dₙ = { z ∈ Zⁿ : Σ z_i even }             E8 = D8 ∪ (D8 + ½)

Dₙ: round every coordinate. Where the sum comes out odd, one coordinate has to go to its
second nearest integer, and the one that was rounded the farthest loses least by it.
E8: do that on both of its halves, and take the nearer answer.

Guarantee: no lattice point is nearer (tests compare with every point around). E8 is the
densest packing of eight dimensions, and of all quantizers in eight dimensions none is
known with a smaller mean error (moment.py).

Read in order: `nearest_dn`, `nearest_e8`.
Source: Conway & Sloane 1982, "Fast quantizing and decoding algorithms for lattice
quantizers and codes", IEEE Trans. Inf. Theory 28, sections III and IV.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def nearest_dn(x: Float[Tensor, "... n"]) -> Float[Tensor, "... n"]:
    """The nearest integers with an even sum; of equally near ones, any.

    ValueError for x that is not finite.
    """
    _check_finite(x)
    near = x.round()
    error = x - near
    worst = error.abs().argmax(-1, keepdim=True)
    other = torch.where(error.gather(-1, worst) < 0, -1.0, 1.0).to(x)
    odd = near.sum(-1, keepdim=True) % 2
    return near.scatter_add(-1, worst, odd * other)


def nearest_e8(x: Float[Tensor, "... 8"]) -> Float[Tensor, "... 8"]:
    """The nearest point of E8, in the dtype of x; of equally near ones, any.

    ValueError for x of another length than 8, or not finite.
    """
    if x.shape[-1] != 8:
        raise ValueError(f"x has {x.shape[-1]} coordinates; E8 has 8")
    whole = nearest_dn(x)
    half = nearest_dn(x - 0.5) + 0.5
    nearer = _squared(x - half) < _squared(x - whole)
    return torch.where(nearer, half, whole)


def _squared(x: Float[Tensor, "... n"]) -> Float[Tensor, "... 1"]:
    return x.square().sum(-1, keepdim=True)


def _check_finite(x: Tensor) -> None:
    if not (finite := x.isfinite()).all():
        raise ValueError(f"x holds {(~finite).sum().item()} NaN or infinite numbers")
