"""The kernels of unfold/dense.py: a chunk of words becomes four planes of Ŵ.

Program (block, c) takes ROWS rows and one chunk of columns (core/planes.py). It reads
each word once, and for each of the four planes that the word holds multiplies the
levels by the plane's scales, in float32, rounds once, and writes L neighbouring columns
of every row. What is padding is computed and not written; a row beyond the last reads
the last one.

Read in order: `int4`, `nf4`.
"""

from lib.kernels.core.blocks import load_constant
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.int4.decode_triton import from_bits, scale_of, zero_of
from lib.kernels.nf4.assembly import float_words_text
from lib.kernels.nf4.product_triton import code_at
from lib.kernels.nf4.scales_triton import block_scale, load_mean

_WORDS = tl.constexpr(float_words_text())
_WORDS_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,=&r,=&r,=&r,=&r,r")


@triton.jit
@no_type_check
def int4(
    codes,  # (chunks, N, L)
    constants,  # (chunks, N, words)
    w,  # (N, K)
    N, K, groups,
    LAYOUT: tl.constexpr,
    ZERO_POINT: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    """ŵ = s (q - z) of one chunk, for ROWS rows."""
    c, i = tl.program_id(1), tl.arange(0, LAYOUT.L)[None, :]
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    n = tl.minimum(row, N - 1)
    words = tl.load(codes + (c * N + n)[:, None] * LAYOUT.L + i).to(tl.int32)
    w += row.to(tl.int64)[:, None] * K
    BITS: tl.constexpr = 32 if ZERO_POINT else 16
    for j in tl.static_range(4):
        plane = 4 * c + j
        group, within = plane // LAYOUT.P, plane % LAYOUT.P * LAYOUT.L + i
        r = load_constant(constants, plane, n, N, LAYOUT.Q, BITS)
        r = from_bits(r, ZERO_POINT)[:, None]
        value = (((words >> (4 * j)) & 15) - zero_of(r)).to(tl.float32) * scale_of(r)
        mask = (row < N)[:, None] & (within < LAYOUT.G) & (group < groups)
        columns = w + group * LAYOUT.G + within
        tl.store(columns, value.to(w.dtype.element_ty), mask=mask)


@triton.jit
@no_type_check
def nf4(
    codes,  # (chunks, N, L)
    scales,  # `Scales`
    levels,  # 16
    w,  # (N, K)
    N, K, groups,
    LAYOUT: tl.constexpr,
    KIND: tl.constexpr,  # `ScaleKind`
    ROWS: tl.constexpr,
    SHUFFLE: tl.constexpr,  # levels by shuffles; else (interpreted) from memory
):  # fmt: skip
    """ŵ = c l_q of one chunk, for ROWS rows."""
    c, i = tl.program_id(1), tl.arange(0, LAYOUT.L)[None, :]
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    n = tl.minimum(row, N - 1)
    mu = load_mean(scales, n, KIND)
    words = codes + (c * N + n)[:, None] * LAYOUT.L
    if SHUFFLE:
        level = tl.inline_asm_elementwise(
            _WORDS, _WORDS_OPERANDS, [tl.load(words + i)], (tl.float32,) * 4, True, 2
        )
    else:
        level = (
            tl.load(levels + code_at(words, 0, i)),
            tl.load(levels + code_at(words, 1, i)),
            tl.load(levels + code_at(words, 2, i)),
            tl.load(levels + code_at(words, 3, i)),
        )
    w += row.to(tl.int64)[:, None] * K
    for j in tl.static_range(4):
        plane = 4 * c + j
        group, within = plane // LAYOUT.P, plane % LAYOUT.P * LAYOUT.L + i
        s = load_constant(scales.per_block, plane, n, N, LAYOUT.Q, KIND.BITS)
        if KIND.BITS == 8:
            block = n * groups + tl.minimum(group, groups - 1)
            nested = tl.load(scales.nested + block // KIND.NESTED)
            s = block_scale(s, nested, mu, scales.dynamic)
        else:
            s = s.to(tl.float32, bitcast=True)
        value = level[j] * s[:, None]
        mask = (row < N)[:, None] & (within < LAYOUT.G) & (group < groups)
        columns = w + group * LAYOUT.G + within
        tl.store(columns, value.to(w.dtype.element_ty), mask=mask)
