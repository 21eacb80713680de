"""What the kernels of several products share: a program's tile, and how it is made.

A program makes one tile of y: ROWS rows of Ŵ times BATCH rows of x (its tokens). It
walks over chunks of columns (planes.py), decodes the four planes of a chunk for its
rows (each operation its own way), multiplies them by the x tiles of the same columns,
and writes its tile once, at the end.

Where tokens and rows end inside a tile, the program reads the last one instead, and
writes nothing: loads need no mask, and no store leaves the matrix. Beyond the last
column x is read as 0, so that codes which are padding add nothing.

Nothing is added in an order that chance decides: where the columns are split among
programs, `sum_splits` adds their sums in the order of the splits.

Read in order: `pdl_wait`, `pdl_launch`, `prefetch_l2`; `rows_and_tokens`,
`load_x_tile`, `load_constants`, `constant`, `load_constant`, `add_planes`, `store`;
`sum_splits`, `summed`.
"""

import torch
from torch import Tensor

from lib.kernels.core.compiler import (
    gdc_launch_dependents,
    gdc_wait,
    no_type_check,
    pdl_options,
    tl,
    triton,
)

# Sizes that change from call to call: their divisibility is not worth a compilation.
VARY = ("M", "chunks", "groups", "chunks_per_split")


@triton.jit
@no_type_check
def pdl_wait(PDL: tl.constexpr, FIRST_LAUNCH: tl.constexpr = False):
    """Wait for the kernel before this one, then let the GPU start the one after it.

    Or, where the kernel is small, FIRST_LAUNCH (as `pdl_launch` has it), then wait.

    With programmatic dependent launch (PDL) a kernel's programs may start while the
    kernel before it, in the same stream, still runs. What a program does before this
    call overlaps with that kernel: it may compute, read what no kernel writes, and
    prefetch. The wait ends once every program of that kernel has ended and all that it
    wrote is visible; from then on any memory may be read and written. The second
    instruction allows the next kernel's programs to occupy multiprocessors as this
    kernel's programs leave them; they wait in their own `pdl_wait`. Without PDL the
    launch itself waits, and this does nothing.
    """
    if FIRST_LAUNCH:
        pdl_launch(PDL)
    if PDL:
        gdc_wait()
        if not FIRST_LAUNCH:
            gdc_launch_dependents()


@triton.jit
@no_type_check
def pdl_launch(PDL: tl.constexpr):
    """Let the GPU start the kernel after this one, before this one waits.

    It starts once every program of this kernel has, so it takes no place from them, and
    its own `pdl_wait` holds it until this kernel has ended, which waited for the kernel
    before. So a small kernel no longer stands between two large ones: the second asks
    for its weights while the first still runs.
    """
    if PDL:
        gdc_launch_dependents()


@triton.jit
@no_type_check
def prefetch_l2(pointers, PDL: tl.constexpr):
    """Ask the memory to bring the cache lines at `pointers` into L2; read nothing.

    It may come before `pdl_wait` even where another kernel is still writing, because
    every write goes through L2 too: a later load finds what was written.
    """
    if PDL:
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
def rows_and_tokens(x, M, N, K, ROWS: tl.constexpr, BATCH: tl.constexpr):
    """A program's rows of Ŵ and tokens; its rows again, below N; and its tokens of x.

    `row` and `token` say what `store` may write. What is loaded is at `n` and at the
    pointers, which repeat the last row and the last token.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    token = tl.program_id(1) * BATCH + tl.arange(0, BATCH)
    x += tl.minimum(token, M - 1).to(tl.int64)[None, :] * K
    return row, token, tl.minimum(row, N - 1), x


@triton.jit
@no_type_check
def load_x_tile(
    x,  # points at rows of x
    plane,
    k_index,  # in the plane, 0 … L - 1
    groups,
    LAYOUT: tl.constexpr,
    SEAMLESS: tl.constexpr,  # plane p begins at column L p, and every plane exists
):
    """x at the columns of a plane (see planes.py), and 0 where the plane is padding."""
    if SEAMLESS:
        return tl.load(x + (plane * LAYOUT.L + k_index))
    else:
        within = plane % LAYOUT.P * LAYOUT.L + k_index
        group = plane // LAYOUT.P
        mask = (within < LAYOUT.G) & (group < groups)
        return tl.load(x + (group * LAYOUT.G + within), mask=mask, other=0)


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
    first = constants + (c * N + n) * WORDS
    w0 = tl.load(first)
    w1, w2, w3 = w0, w0, w0
    if WORDS > 1:
        w1 = tl.load(first + 1)
    if WORDS > 2:
        w2, w3 = tl.load(first + 2), tl.load(first + 3)
    return w0, w1, w2, w3


@triton.jit
@no_type_check
def constant(words, PLANE: tl.constexpr, Q: tl.constexpr, BITS: tl.constexpr):
    """The bits of a plane's constant, lowest first, among those of its chunk."""
    INDEX: tl.constexpr = PLANE * Q // 4
    PER_WORD: tl.constexpr = 32 // BITS
    return words[INDEX // PER_WORD] >> (INDEX % PER_WORD * BITS)


@triton.jit
@no_type_check
def load_constant(constants, plane, n, N, Q: tl.constexpr, BITS: tl.constexpr):
    """The bits of one plane's constant for rows n, lowest first."""
    PER_WORD: tl.constexpr = 32 // BITS
    WORDS: tl.constexpr = (Q * BITS + 31) // 32
    index = plane % 4 * Q // 4
    word = tl.load(constants + (plane // 4 * N + n) * WORDS + index // PER_WORD)
    return word >> (index % PER_WORD * BITS)


@triton.jit
@no_type_check
def add_planes(
    total,  # (…, rows, batch) in float32
    q,  # four planes of Ŵ before their scales, each (…, rows, L)
    scales,  # of those planes, each (…, rows)
    x, first, k_index, groups,  # as `load_x_tile` takes them, for plane `first`
    LAYOUT: tl.constexpr,
    SEAMLESS: tl.constexpr,
):  # fmt: skip
    """total + Σ_j s_j (q_j x_j) over the four planes of a chunk.

    Planes that share a group share its scale, which multiplies their sum once.
    """
    SHARED: tl.constexpr = 4 // LAYOUT.Q  # planes that share a scale
    part = tl.zeros(total.shape, tl.float32)
    for j in tl.static_range(4):
        x_tile = load_x_tile(x, first + j, k_index, groups, LAYOUT, SEAMLESS)
        part = tl.dot(q[j], x_tile, part, input_precision="ieee")
        if (j + 1) % SHARED == 0:
            total += part * tl.expand_dims(scales[j], -1)
            part = tl.zeros(total.shape, tl.float32)
    return total


@triton.jit
@no_type_check
def store(y, total, row, token, M, N):
    """Write a tile (rows, batch), transposed, to y (M, N), as far as there is one."""
    mask = (row < N)[:, None] & (token < M)[None, :]
    y += token.to(tl.int64)[None, :] * N + row[:, None]
    tl.store(y, total.to(y.dtype.element_ty), mask=mask)


@triton.jit
@no_type_check
def sum_splits(
    parts, y, size, SPLITS: tl.constexpr, BLOCK: tl.constexpr, PDL: tl.constexpr
):
    """y = Σ parts: a program adds BLOCK numbers in the order of the splits.

    So the bits are the same in every run.
    """
    pdl_wait(PDL, FIRST_LAUNCH=True)
    offset = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offset < size
    total = tl.zeros((BLOCK,), tl.float32)
    for _ in tl.static_range(SPLITS):
        total += tl.load(parts + offset, mask=mask, other=0)
        parts += size
    tl.store(y + offset, total.to(y.dtype.element_ty), mask=mask)


def summed(parts: Tensor, dtype: torch.dtype) -> Tensor:
    """Σ of (splits, m, n) over its first dimension, by `sum_splits`."""
    splits, *shape = parts.shape
    y = parts.new_empty(shape, dtype=dtype)
    block = 256
    grid = (triton.cdiv(y.numel(), block),)
    block = {"BLOCK": block, "num_warps": 2} | pdl_options(parts, follows=True)
    sum_splits[grid](parts, y, y.numel(), SPLITS=splits, **block)
    return y
