"""What several kernels share: activations by plane, and sums in a fixed order.

Read in order: `activations`, `sum_splits`, `summed`.
"""

import torch
from torch import Tensor

from lib.kernels.compiler import no_type_check, tl, triton

# Sizes that change from call to call: their divisibility is not worth a compilation.
VARY = ("M", "chunks", "groups", "each")


@triton.jit
@no_type_check
def activations(
    x,  # points at rows of x
    plane,
    i,  # the place in the plane
    groups,
    G: tl.constexpr,  # columns of a group
    P: tl.constexpr,  # planes of a group
    L: tl.constexpr,  # columns of a plane
    SEAMLESS: tl.constexpr,  # plane p begins at column L p, and every plane exists
):
    """x at the columns of a plane (see planes.py), and 0 where there are none."""
    if SEAMLESS:
        return tl.load(x + (plane * L + i))
    else:
        within = plane % P * L + i
        group = plane // P
        there = (within < G) & (group < groups)
        return tl.load(x + (group * G + within), mask=there, other=0)


@triton.jit
@no_type_check
def sum_splits(parts, y, size, SPLITS: tl.constexpr, BLOCK: tl.constexpr):
    """y = Σ parts, in the order of the splits: the same bits in every run."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    total = tl.zeros((BLOCK,), tl.float32)
    for _ in tl.static_range(SPLITS):
        total += tl.load(parts + at, mask=inside, other=0)
        parts += size
    tl.store(y + at, total.to(y.dtype.element_ty), mask=inside)


def summed(parts: Tensor, dtype: torch.dtype) -> Tensor:
    """Σ of (splits, m, n) over its first dimension, by `sum_splits`."""
    splits, *shape = parts.shape
    y = parts.new_empty(shape, dtype=dtype)
    block = 256
    grid = (triton.cdiv(y.numel(), block),)
    sum_splits[grid](parts, y, y.numel(), SPLITS=splits, BLOCK=block, num_warps=2)
    return y
