"""The kernels of int4/product.py: from one number a program to the matrix unit.

    y[m, n] = Σ_g s[g, n] Σ_{k in g} (q[n, k] - z[g, n]) x[m, k]

A program of `naive` makes one number of y, one of `wide` and `skinny` a tile of ROWS
rows of Ŵ times BATCH tokens (core/blocks.py: what happens where these end). Codes go
from device memory through shared memory into the registers in which the matrix unit
wants its operand; there they are decoded (decode_triton.py), and Ŵ is never stored
anywhere.

Read in order: `naive`, `wide`, `skinny`, whose parts ends/ calls as well; then
decode_triton.py, which all of them call.
"""

from lib.kernels.core.blocks import (
    VARY,
    add_planes,
    load_constant,
    load_x_tile,
    pdl_wait,
    prefetch_l2,
    rows_and_tokens,
    store,
)
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.int4.decode_triton import (
    decode,
    from_bits,
    load_four,
    scale_of,
    scales_of,
    zero_of,
)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def naive(
    x,  # (M, K)
    codes,  # (chunks, N, L)
    constants,  # (chunks, N, words): fp16 scales, or int32 of scale and zero point
    y,  # (M, N)
    M, N, K, chunks, groups,
    LAYOUT: tl.constexpr,
    ZERO_POINT: tl.constexpr,
):  # fmt: skip
    """Program (n, m) makes y[m, n], plane by plane, in the order of the columns.

    No code serves two tokens, and no matrix unit is asked. Padding is masked in x.
    """
    n, m = tl.program_id(0), tl.program_id(1).to(tl.int64)
    i = tl.arange(0, LAYOUT.L)
    BITS: tl.constexpr = 32 if ZERO_POINT else 16
    total = 0.0
    for plane in range(4 * chunks):
        words = tl.load(codes + (plane // 4 * N + n) * LAYOUT.L + i).to(tl.int32)
        q = (words >> (plane % 4 * 4)) & 15
        r = load_constant(constants, plane, n, N, LAYOUT.Q, BITS)
        r = from_bits(r, ZERO_POINT)
        x_tile = load_x_tile(x + m * K, plane, i, groups, LAYOUT, False)
        total += scale_of(r) * tl.sum((q - zero_of(r)) * x_tile.to(tl.float32), 0)
    tl.store(y + m * N + n, total.to(y.dtype.element_ty))


@triton.jit(do_not_specialize=VARY)
@no_type_check
def wide(
    x, codes, constants,
    y,  # (M, N); with splits (splits, M, N) in float32, to be summed
    M, N, K, chunks, groups,
    chunks_per_split,
    LAYOUT: tl.constexpr,
    ZERO_POINT: tl.constexpr,
    SEAMLESS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Program (n, m, split) makes a tile of y from the chunks of one split.

    All of its warps work on the same chunk; copies of the next STAGES - 1 run ahead in
    the background. The last split may have fewer chunks. With several splits y holds
    float32 sums, which `sum_splits` adds.
    """
    row, token, n, x = rows_and_tokens(x, M, N, K, ROWS, BATCH)
    first, i = tl.program_id(2) * chunks_per_split, tl.arange(0, LAYOUT.L)
    total = tl.zeros((ROWS, BATCH), tl.float32)
    for stage in tl.static_range(STAGES):
        chunk = tl.minimum(first + stage, chunks - 1)
        prefetch_l2(codes + (chunk * N + n) * LAYOUT.L, PDL)
    pdl_wait(PDL)
    end = tl.minimum(first + chunks_per_split, chunks)
    for c in tl.range(first, end, num_stages=STAGES):
        r = load_four(constants, c, n, N, LAYOUT.Q, ZERO_POINT)
        words = tl.load(codes + (c * N + n)[:, None] * LAYOUT.L + i)
        q, s = decode(words, r, x.dtype.element_ty), scales_of(r)
        k_index = i[:, None]
        total = add_planes(total, q, s, x, 4 * c, k_index, groups, LAYOUT, SEAMLESS)
    store(y + tl.program_id(2).to(tl.int64) * M * N, total, row, token, M, N)


@triton.jit
@no_type_check
def skinny_prefetch(
    codes, constants, n, top, N, chunks,
    LAYOUT: tl.constexpr,
    ZERO_POINT: tl.constexpr,
    SPLITS: tl.constexpr,
    FIRST: tl.constexpr,  # turn
    AHEAD: tl.constexpr,  # turns, with those before it
    PDL: tl.constexpr,
):  # fmt: skip
    """Ask for the chunks of some turns; the constants of rows n begin at row `top`."""
    c = tl.arange(0, SPLITS)[:, None]
    WORDS: tl.constexpr = (LAYOUT.Q * (32 if ZERO_POINT else 16) + 31) // 32
    for turn in tl.static_range(FIRST, AHEAD):
        chunk = tl.minimum(turn * SPLITS + c, chunks - 1)
        prefetch_l2(codes + (chunk * N + n[None, :]) * LAYOUT.L, PDL)
        prefetch_l2(constants + (chunk * N + top) * WORDS, PDL)


@triton.jit
@no_type_check
def skinny_turn(
    codes, constants, n, chunk, N, LAYOUT: tl.constexpr, ZERO_POINT: tl.constexpr
):
    """The constants and the words of rows n in each warp's chunk."""
    n = n[None, :]
    r = load_four(constants, chunk, n, N, LAYOUT.Q, ZERO_POINT)
    at = codes + (chunk * N + n)[:, :, None] * LAYOUT.L
    return r, tl.load(at + tl.arange(0, LAYOUT.L))


@triton.jit
@no_type_check
def skinny_sum(
    x, codes, constants, n, N, chunks, groups,
    held,  # what `skinny_turn` loaded of the first HELD turns
    LAYOUT: tl.constexpr,
    ZERO_POINT: tl.constexpr,
    SEAMLESS: tl.constexpr,
    SPLITS: tl.constexpr,
    STAGES: tl.constexpr,
    HELD: tl.constexpr,
    MORE: tl.constexpr,  # turns than those
):  # fmt: skip
    """Rows n of Ŵ times the tokens that x points at: a tile of y.

    Turn t hands chunks t SPLITS … t SPLITS + SPLITS - 1 to the SPLITS warps, one each,
    as one batched product, so that few rows still keep many warps busy. Each warp sums
    what it multiplied; the sums meet once, at the end, and no second kernel has to be
    launched. In the last turn a warp may have no chunk: it decodes the last one again,
    and multiplies it by x = 0.
    """
    x, i = x[None], tl.arange(0, LAYOUT.L)
    c = tl.arange(0, SPLITS)[:, None]  # a chunk a warp
    total = tl.zeros((SPLITS, n.shape[0], x.shape[2]), tl.float32)
    for turn in tl.static_range(HELD):
        r, words = held[turn]
        q, s = decode(words, r, x.dtype.element_ty), scales_of(r)
        plane, k_index = 4 * (turn * SPLITS + c)[:, :, None], i[:, None]
        total = add_planes(total, q, s, x, plane, k_index, groups, LAYOUT, SEAMLESS)
    if MORE:
        for first in tl.range(HELD * SPLITS, chunks, SPLITS, num_stages=STAGES):
            chunk = tl.minimum(first + c, chunks - 1)
            r, words = skinny_turn(codes, constants, n, chunk, N, LAYOUT, ZERO_POINT)
            q, s = decode(words, r, x.dtype.element_ty), scales_of(r)
            plane, k_index = 4 * (first + c)[:, :, None], i[:, None]
            total = add_planes(total, q, s, x, plane, k_index, groups, LAYOUT, SEAMLESS)
    return tl.sum(total, 0)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def skinny(
    x, codes, constants, y,
    M, N, K, chunks, groups,
    LAYOUT: tl.constexpr,
    ZERO_POINT: tl.constexpr,
    SEAMLESS: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Program (n, m) makes a tile of y from all chunks, each warp from its own."""
    row, token, n, x = rows_and_tokens(x, M, N, K, ROWS, BATCH)
    top = tl.program_id(0) * ROWS
    skinny_prefetch(
        codes, constants, n, top, N, chunks, LAYOUT, ZERO_POINT, SPLITS, 0, STAGES, PDL
    )
    pdl_wait(PDL)
    total = skinny_sum(
        x, codes, constants, n, N, chunks, groups, (),
        LAYOUT, ZERO_POINT, SEAMLESS, SPLITS, STAGES, 0, True,
    )  # fmt: skip
    store(y, total, row, token, M, N)
