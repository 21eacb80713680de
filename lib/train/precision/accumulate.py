"""Sums in few bits: what an H100 does inside an FP8 product, and how to mend it.

    one instruction:   c ← truncate(c + a₁b₁ + … + a₃₂b₃₂)     to 14 significant bits
    promoted:          every N terms  y ← y + c in fp32,  c ← 0

Each truncation loses up to 2^-13 of c, always towards 0; so a long sum of numbers of
one sign loses a share that grows with its length. Promotion restarts c before that.

Guarantee: the error of `truncated_sum` is at most (K / 32) 2^-13 of Σ|ab|, that of
`promoted` at most (N / 32) 2^-13 of it, whatever K is (and fp32's own).

This is a model of the hardware, made from its description: products are exact, each
instruction's terms add up exactly, and the sum is cut.

Read in order: `truncate`, `truncated_sum`, `promoted`. Taught in notebooks/09.
Source: DeepSeek-AI 2024, arXiv:2412.19437, sections 3.3.2 (N = 128, four instructions)
and 3.5.2 (32 products, 14 bits, truncated).
"""

import torch
from jaxtyping import Float, Float32
from torch import Tensor

BITS, TERMS = 14, 32


def truncate(x: Float[Tensor, "*shape"], bits: int) -> Float32[Tensor, "*shape"]:
    """Keep the first `bits` significant bits; the rest is cut off, towards 0.

    ValueError unless x is float32 and bits in 1 to 24.
    """
    if x.dtype != torch.float32 or not 1 <= bits <= 24:
        raise ValueError(f"{bits} bits of {x.dtype}: 1 to 24, of float32")
    return (x.view(torch.int32) & (-1 << 24 - bits)).view(torch.float32)


def truncated_sum(
    a: Float32[Tensor, "*batch rows summed"],
    b: Float32[Tensor, "*batch cols summed"],
    *,
    bits: int = BITS,
    terms: int = TERMS,
) -> Float32[Tensor, "*batch rows cols"]:
    """A Bᵀ, `terms` products at a time, cut to `bits` after each.

    ValueError as `truncate`, and for less than one term.
    """
    if terms < 1:
        raise ValueError(f"{terms=}")
    c = a.new_zeros(*a.shape[:-1], b.shape[-2])
    for left, right in zip(a.split(terms, -1), b.split(terms, -1), strict=True):
        c = truncate(c + left @ right.mT, bits)
    return c


def promoted(
    a: Float32[Tensor, "*batch rows summed"],
    b: Float32[Tensor, "*batch cols summed"],
    *,
    every: int = 128,
    bits: int = BITS,
    terms: int = TERMS,
) -> Float32[Tensor, "*batch rows cols"]:
    """A Bᵀ whose short sums of `every` terms are added up in fp32.

    ValueError as `truncated_sum`, and where `every` is no multiple of `terms`.
    """
    if every < 1 or every % terms:
        raise ValueError(f"{every=} is no multiple of {terms=}")
    y = a.new_zeros(*a.shape[:-1], b.shape[-2])
    for left, right in zip(a.split(every, -1), b.split(every, -1), strict=True):
        y = y + truncated_sum(left, right, bits=bits, terms=terms)
    return y
