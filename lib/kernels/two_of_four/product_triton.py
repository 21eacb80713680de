"""The kernels of two_of_four/product.py: kept weights spread over four operands.

    y[m, n] = Σ_p Σ_g A_p[n, g] x_p[m, g],    x_p[m, g] = x[m, 4g + p]

A_p[n, g] is the weight at place p of row n's group g, or 0: of two kept weights at most
one stands there. A thread makes the four by masks (spread_triton.py), on the way from
shared memory to the matrix unit, which sees four dense operands.

Read in order: `deal`; `add_places`, `scale_of`, `add_chunk`; `naive`; `prefetch`,
`wide`, `skinny`.
"""

from lib.kernels.core.blocks import (
    pdl_launch,
    pdl_wait,
    prefetch_l2,
    rows_and_tokens,
    store,
)
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.two_of_four.spread_triton import levels, placed, spread, spread_codes

VARY = ("M", "chunks", "chunks_per_split")
LENGTH = tl.constexpr(16)  # groups of a plane; a chunk has four planes


@triton.jit(do_not_specialize=("M",))
@no_type_check
def deal(
    x,  # (M, K)
    dealt,  # (4, M, groups): x_p, and 0 beyond the last group
    M, K, groups,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Columns dealt to four operands like cards: program (m, b) deals 4 BLOCK."""
    pdl_launch(PDL)
    pdl_wait(PDL)
    m = tl.program_id(0).to(tl.int64)
    g = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[:, None]
    p = tl.arange(0, 4)[None, :]
    row = tl.load(x + m * K + 4 * g + p, mask=4 * g < K, other=0)
    tl.store(dealt + (p * M + m) * groups + g, row, mask=g < groups)


@triton.jit
@no_type_check
def add_places(
    total, a,
    x,  # points at tokens of x_0
    plane,  # (…, 1)
    apart,  # from x_p to x_p+1
):  # fmt: skip
    """total + Σ_p A_p x_p over one plane."""
    i = tl.arange(0, LENGTH)[:, None]
    k_index = tl.expand_dims(plane, -1) * LENGTH + i
    for p in tl.static_range(4):
        x_tile = tl.load(x + p * apart + k_index)
        total = tl.dot(a[p], x_tile, total, input_precision="ieee")
    return total


@triton.jit
@no_type_check
def add_chunk(
    total,  # (…, rows, batch) in float32
    x, weights, places, scales,
    c,  # (…, 1)
    n,  # (…, rows)
    N, apart, chunks,
    BITS: tl.constexpr,
):  # fmt: skip
    """total + what a chunk's four planes add: values of 16 bits, or scaled codes.

    Beyond the last chunk x is 0, and the last one's weights stand in.
    """
    i, at = tl.arange(0, LENGTH), tl.minimum(c, chunks - 1)
    row = tl.expand_dims(at * N + n, -1)
    spots = tl.load(places + row * LENGTH + i)
    first_row = tl.expand_dims(at * (BITS // 2 * N) + n, -1)
    tiles = weights + first_row * LENGTH + i
    each = N * LENGTH  # from one tile's words to the next one's
    if BITS == 16:
        for j in tl.static_range(4):
            first, last = tl.load(tiles), tl.load(tiles + each)
            a = spread(first, last, spots, j, x.dtype.element_ty)
            total = add_places(total, a, x, 4 * c + j, apart)
            tiles += 2 * each
    else:
        first, last = tl.load(tiles), tl.load(tiles + each)
        codes = spread_codes(first, last, spots, x.dtype.element_ty)
        for j in tl.static_range(4):
            a = levels(codes, j, x.dtype.element_ty)
            part = add_places(tl.zeros_like(total), a, x, 4 * c + j, apart)
            total += part * scale_of(scales, row, j)
    return total


@triton.jit
@no_type_check
def scale_of(scales, row, PLANE: tl.constexpr):
    """The scale of a plane's 64 columns, in float32."""
    pair = tl.load(scales + row * 2 + PLANE // 2) >> PLANE % 2 * 16
    return pair.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)


@triton.jit
@no_type_check
def prefetch(
    weights, places, n, N, chunk,
    BITS: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Ask for a chunk's rows n."""
    prefetch_l2(places + (chunk * N + n) * LENGTH, PDL)
    for s in tl.static_range(BITS // 2):
        prefetch_l2(weights + ((chunk * (BITS // 2) + s) * N + n) * LENGTH, PDL)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def naive(
    x,  # (4, M, K): dealt
    weights,  # (chunks, 8, N, L) values, or (chunks, 2, N, L) words of codes
    places,  # (chunks, N, L) words
    scales,  # (chunks, N, 2): a plane's fp16 scale each, two a word; of codes
    y,  # (M, N)
    M, N, K, chunks,
    BITS: tl.constexpr,
):  # fmt: skip
    """Program (n, m) makes y[m, n], plane by plane, and asks no matrix unit."""
    n, m = tl.program_id(0), tl.program_id(1).to(tl.int64)
    i, total = tl.arange(0, LENGTH), 0.0
    for plane in range(4 * chunks):
        c, shift = plane // 4, plane % 4 * 4
        bits = tl.load(places + (c * N + n) * LENGTH + i).to(tl.int32) >> shift
        if BITS == 16:
            tile = weights + (2 * plane * N + n) * LENGTH + i
            first = tl.load(tile).to(tl.float32)
            last = tl.load(tile + N * LENGTH).to(tl.float32)
        else:
            tile = weights + (2 * c * N + n) * LENGTH + i
            half = tl.load(scales + (c * N + n) * 2 + plane % 4 // 2) >> plane % 2 * 16
            scale = half.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
            first = tl.load(tile).to(tl.int32) >> shift & 15 ^ 8
            last = tl.load(tile + N * LENGTH).to(tl.int32) >> shift & 15 ^ 8
            first, last = (first - 8) * scale, (last - 8) * scale
        a0, a1, a2, a3 = placed(first, last, bits)
        x_0 = x + m * K + plane * LENGTH + i
        total += tl.sum(a0 * tl.load(x_0).to(tl.float32), 0)
        total += tl.sum(a1 * tl.load(x_0 + M * K).to(tl.float32), 0)
        total += tl.sum(a2 * tl.load(x_0 + 2 * M * K).to(tl.float32), 0)
        total += tl.sum(a3 * tl.load(x_0 + 3 * M * K).to(tl.float32), 0)
    tl.store(y + m * N + n, total.to(y.dtype.element_ty))


@triton.jit(do_not_specialize=VARY)
@no_type_check
def wide(
    x, weights, places, scales,
    y,  # (M, N); with splits (splits, M, N) in float32, to be summed
    M, N, K, chunks, chunks_per_split,
    BITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Program (n, m, split) makes a tile of y from the chunks of one split."""
    row, token, n, x = rows_and_tokens(x, M, N, K, ROWS, BATCH)
    start = tl.program_id(2) * chunks_per_split
    pdl_launch(PDL)
    for stage in tl.static_range(STAGES):
        chunk = tl.minimum(start + stage, chunks - 1)
        prefetch(weights, places, n, N, chunk, BITS, PDL)
    pdl_wait(PDL)
    total = tl.zeros((ROWS, BATCH), tl.float32)
    end = tl.minimum(start + chunks_per_split, chunks)
    for chunk in tl.range(start, end, num_stages=STAGES):
        c = tl.full((1,), 0, tl.int32) + chunk
        total = add_chunk(
            total, x, weights, places, scales, c, n, N, M * K, chunks, BITS
        )
    store(y + tl.program_id(2).to(tl.int64) * M * N, total, row, token, M, N)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def skinny(
    x, weights, places, scales, y,
    M, N, K, chunks,
    BITS: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """Program (n, m) makes a tile of y from all chunks, each warp from its own.

    The sums of the SPLITS warps meet once, at the end. In the last turn a warp may have
    no chunk.
    """
    row, token, n, x = rows_and_tokens(x, M, N, K, ROWS, BATCH)
    x, n, c = x[None], n[None, :], tl.arange(0, SPLITS)[:, None]
    pdl_launch(PDL)
    for stage in tl.static_range(STAGES):
        chunk = tl.minimum(stage * SPLITS + c, chunks - 1)
        prefetch(weights, places, n, N, chunk, BITS, PDL)
    pdl_wait(PDL)
    total = tl.zeros((SPLITS, ROWS, BATCH), tl.float32)
    for first in tl.range(0, chunks, SPLITS, num_stages=STAGES):
        total = add_chunk(
            total, x, weights, places, scales, first + c, n, N, M * K, chunks, BITS
        )
    store(y, tl.sum(total, 0), row, token, M, N)
