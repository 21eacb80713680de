"""What several kernels share: a tile's place, its products, sums in a fixed order.

Read in order: `follow`, `fetch`; `place`, `activations`, `load_constants`, `constant`,
`add_planes`, `store`; `sum_splits`, `summed`.
"""

import torch
from torch import Tensor

from lib.kernels.core.compiler import (
    gdc_launch_dependents,
    gdc_wait,
    in_a_row,
    no_type_check,
    tl,
    triton,
)

# Sizes that change from call to call: their divisibility is not worth a compilation.
VARY = ("M", "chunks", "groups", "each")


@triton.jit
@no_type_check
def follow(CHAINED: tl.constexpr):
    """Wait until all that earlier kernels write is there; then let the next one come.

    Its programs take the places of those that end, and wait here in their turn.
    """
    if CHAINED:
        gdc_wait()
        gdc_launch_dependents()


@triton.jit
@no_type_check
def fetch(pointers, CHAINED: tl.constexpr):
    """Ask for the lines at `pointers` to be in the L2 cache soon; nothing is read yet.

    The cache sees every write, so this may come before `follow`.
    """
    if CHAINED:
        tl.inline_asm_elementwise(
            "prefetch.global.L2 [$1]; mov.u32 $0, 0;",
            "=r,l",
            [pointers.to(tl.int64)],
            tl.int32,
            False,
            1,
        )


@triton.jit
@no_type_check
def place(x, M, N, K, ROWS: tl.constexpr, BATCH: tl.constexpr):
    """A program's rows of Ŵ and of x, the former held below N, and where x begins."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    token = tl.program_id(1) * BATCH + tl.arange(0, BATCH)
    x += tl.minimum(token, M - 1).to(tl.int64)[None, :] * K
    return row, token, tl.minimum(row, N - 1), x


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
def load_constants(
    constants,  # (chunks, N, words) in int32
    c, n, N,
    Q: tl.constexpr,  # constants of a chunk
    BITS: tl.constexpr,  # of each
):  # fmt: skip
    """The words that hold the constants of chunk c and rows n, each loaded once."""
    WORDS: tl.constexpr = (Q * BITS + 31) // 32
    at = constants + (c * N + n) * WORDS
    w0 = tl.load(at)
    w1, w2, w3 = w0, w0, w0
    if WORDS > 1:
        w1 = tl.load(at + 1)
    if WORDS > 2:
        w2, w3 = tl.load(at + 2), tl.load(at + 3)
    return w0, w1, w2, w3


@triton.jit
@no_type_check
def constant(words, PLANE: tl.constexpr, Q: tl.constexpr, BITS: tl.constexpr):
    """The bits of a plane's constant, lowest first, among those of its chunk."""
    PLACE: tl.constexpr = PLANE * Q // 4
    PER: tl.constexpr = 32 // BITS
    return words[PLACE // PER] >> (PLACE % PER * BITS)


@triton.jit
@no_type_check
def constant_of(constants, plane, n, N, Q: tl.constexpr, BITS: tl.constexpr):
    """The bits of a plane's constant, for a row n, lowest first."""
    PER: tl.constexpr = 32 // BITS
    WORDS: tl.constexpr = (Q * BITS + 31) // 32
    place = plane % 4 * Q // 4
    word = tl.load(constants + (plane // 4 * N + n) * WORDS + place // PER)
    return word >> (place % PER * BITS)


@triton.jit
@no_type_check
def add_planes(
    total,  # (…, rows, batch) in float32
    q,  # four planes of Ŵ before their steps, each (…, rows, L)
    steps,  # of those planes, each (…, rows)
    x, first, i, groups,  # as `activations` takes them, for plane `first`
    G: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    SEAMLESS: tl.constexpr,
):  # fmt: skip
    """total + Σ_j s_j (q_j x_j) over a chunk, a step for all planes that share it."""
    SHARED: tl.constexpr = 4 if P % 4 == 0 else (2 if P % 2 == 0 else 1)
    part = tl.zeros(total.shape, tl.float32)
    for j in tl.static_range(4):
        there = activations(x, first + j, i, groups, G, P, L, SEAMLESS)
        part = tl.dot(q[j], there, part, input_precision="ieee")
        if (j + 1) % SHARED == 0:
            total += part * tl.expand_dims(steps[j], -1)
            part = tl.zeros(total.shape, tl.float32)
    return total


@triton.jit
@no_type_check
def store(y, total, row, token, M, N):
    """Write a tile (rows, batch) of y (M, N), transposed, as far as there is one."""
    inside = (row < N)[:, None] & (token < M)[None, :]
    y += token.to(tl.int64)[None, :] * N + row[:, None]
    tl.store(y, total.to(y.dtype.element_ty), mask=inside)


@triton.jit
@no_type_check
def sum_splits(
    parts, y, size, SPLITS: tl.constexpr, BLOCK: tl.constexpr, CHAINED: tl.constexpr
):
    """y = Σ parts, in the order of the splits: the same bits in every run."""
    follow(CHAINED)
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
    block = {"BLOCK": block, "num_warps": 2} | in_a_row(parts)
    sum_splits[grid](parts, y, y.numel(), SPLITS=splits, **block)
    return y
