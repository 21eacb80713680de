"""The kernels of int4/product.py: from one number a program to the matrix unit.

    y[m, n] = Σ_g s[g, n] Σ_{k in g} (q[n, k] - z[g, n]) x[m, k]

A program of `naive` makes one number of y, one of `wide` and `skinny` a tile of ROWS
rows of Ŵ times BATCH tokens (core/blocks.py: what happens where these end). Codes go
from device memory through shared memory into the registers in which the matrix unit
wants its operand; there they are decoded, and Ŵ is never stored anywhere.

Decoding: 0x6400 as fp16 is 1024, and from 1024 to 2048 neighbours are 1 apart; so
0x6400 | q is the number 1024 + q, and subtracting 1024 + z leaves q - z exactly. A
thread does so with two weights in a register of 32 bits. In bf16 0x4300, 128, does the
same, for 128 + 15 is below 256.

Read in order: `naive`, `wide`, `skinny`; then `_decode`, which all but `naive` call.
Source of the trick: Kim et al. 2022, arXiv:2211.10017.
"""

from lib.kernels.core.blocks import (
    VARY,
    add_planes,
    constant,
    load_constant,
    load_constants,
    load_x_tile,
    pdl_wait,
    prefetch_l2,
    rows_and_tokens,
    store,
)
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.core.planes import CODE_BITS, PLANES_PER_WORD


def _unpack_two(magic: str, kind: str) -> str:
    """PTX that takes two words and four biases to four pairs of q - z."""
    lines = [".reg .b32 t;", "mov.b32 t, $4;"]
    for plane in range(PLANES_PER_WORD):
        if plane:
            lines += [f"shr.u32 t, $4, {CODE_BITS * plane};"]
        lines += [
            f"lop3.b32 t, t, 0x000F000F, {magic}, 0xEA;",  # t & mask | magic
            f"sub.rn.{kind}x2 ${plane}, t, ${plane + PLANES_PER_WORD + 1};",
        ]
    return "{" + "\n".join(lines) + "}"


_UNPACK_F16 = tl.constexpr(_unpack_two("0x64006400", "f16"))
_UNPACK_BF16 = tl.constexpr(_unpack_two("0x43004300", "bf16"))
_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,r,r,r,r,r")


@triton.jit
@no_type_check
def _decode(words, r, DTYPE: tl.constexpr):
    """Four planes of q - z from their words; r holds each plane's constants.

    In 16 bits, as the matrix unit takes them, two at a time; in float32 one by one.
    """
    if tl.float16 == DTYPE:
        b0, b1 = _bias(r[0], 0x6400, 1024, DTYPE), _bias(r[1], 0x6400, 1024, DTYPE)
        b2, b3 = _bias(r[2], 0x6400, 1024, DTYPE), _bias(r[3], 0x6400, 1024, DTYPE)
        return tl.inline_asm_elementwise(
            _UNPACK_F16, _OPERANDS, [words, b0, b1, b2, b3], (tl.float16,) * 4, True, 2
        )
    elif tl.bfloat16 == DTYPE:
        b0, b1 = _bias(r[0], 0x4300, 128, DTYPE), _bias(r[1], 0x4300, 128, DTYPE)
        b2, b3 = _bias(r[2], 0x4300, 128, DTYPE), _bias(r[3], 0x4300, 128, DTYPE)
        return tl.inline_asm_elementwise(
            _UNPACK_BF16,
            _OPERANDS,
            [words, b0, b1, b2, b3],
            (tl.bfloat16,) * 4,
            True,
            2,
        )
    else:
        q = words.to(tl.int32)
        return (
            ((q & 15) - tl.expand_dims(zero_of(r[0]), -1)).to(DTYPE),
            (((q >> 4) & 15) - tl.expand_dims(zero_of(r[1]), -1)).to(DTYPE),
            (((q >> 8) & 15) - tl.expand_dims(zero_of(r[2]), -1)).to(DTYPE),
            (((q >> 12) & 15) - tl.expand_dims(zero_of(r[3]), -1)).to(DTYPE),
        )


@triton.jit
@no_type_check
def _bias(r, MAGIC: tl.constexpr, ONE: tl.constexpr, DTYPE: tl.constexpr):
    """ONE + z, by writing z into the lowest bits of MAGIC, whose value is ONE."""
    if r.dtype == tl.int32:
        b = (zero_of(r).to(tl.int16) | MAGIC).to(DTYPE, bitcast=True)
    else:
        b = tl.full(r.shape, ONE + 8, DTYPE)
    return tl.expand_dims(b, -1)


@triton.jit
@no_type_check
def zero_of(r):
    """z of a group's constants: the upper half, or 8 where there is only a scale."""
    if r.dtype == tl.int32:
        return r >> 16
    else:
        return tl.full(r.shape, 8, tl.int32)


@triton.jit
@no_type_check
def scale_of(r):
    """s of a group's constants, in float32."""
    if r.dtype == tl.int32:
        return r.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
    else:
        return r.to(tl.float32)


@triton.jit
@no_type_check
def _scales(r):
    """The scales of four planes."""
    return scale_of(r[0]), scale_of(r[1]), scale_of(r[2]), scale_of(r[3])


@triton.jit
@no_type_check
def from_bits(bits, ZERO_POINT: tl.constexpr):
    """A group's constants: int32 of scale and zero point, or the fp16 scale alone."""
    if ZERO_POINT:
        return bits
    else:
        return bits.to(tl.int16).to(tl.float16, bitcast=True)


@triton.jit
@no_type_check
def _load_four(constants, c, n, N, Q: tl.constexpr, ZERO_POINT: tl.constexpr):
    """The constants of rows n for each of the four planes of chunk c."""
    BITS: tl.constexpr = 32 if ZERO_POINT else 16
    words = load_constants(constants, c, n, N, Q, BITS)
    return (
        from_bits(constant(words, 0, Q, BITS), ZERO_POINT),
        from_bits(constant(words, 1, Q, BITS), ZERO_POINT),
        from_bits(constant(words, 2, Q, BITS), ZERO_POINT),
        from_bits(constant(words, 3, Q, BITS), ZERO_POINT),
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
        r = _load_four(constants, c, n, N, LAYOUT.Q, ZERO_POINT)
        words = tl.load(codes + (c * N + n)[:, None] * LAYOUT.L + i)
        q, s = _decode(words, r, x.dtype.element_ty), _scales(r)
        k_index = i[:, None]
        total = add_planes(total, q, s, x, 4 * c, k_index, groups, LAYOUT, SEAMLESS)
    store(y + tl.program_id(2).to(tl.int64) * M * N, total, row, token, M, N)


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
    """Program (n, m) makes a tile of y from all chunks, each warp from its own.

    Turn t hands chunks t SPLITS … t SPLITS + SPLITS - 1 to the SPLITS warps, one each,
    as one batched product, so that few rows still keep many warps busy. Each warp sums
    what it multiplied; the sums meet once, at the end, and no second kernel has to be
    launched. In the last turn a warp may have no chunk: it decodes the last one again,
    and multiplies it by x = 0.
    """
    row, token, n, x = rows_and_tokens(x, M, N, K, ROWS, BATCH)
    n, x, i = n[None, :], x[None], tl.arange(0, LAYOUT.L)
    c = tl.arange(0, SPLITS)[:, None]  # a chunk a warp
    total = tl.zeros((SPLITS, ROWS, BATCH), tl.float32)
    top = tl.program_id(0) * ROWS
    WORDS: tl.constexpr = (LAYOUT.Q * (32 if ZERO_POINT else 16) + 31) // 32
    for stage in tl.static_range(STAGES):
        chunk = tl.minimum(stage * SPLITS + c, chunks - 1)
        prefetch_l2(codes + (chunk * N + n) * LAYOUT.L, PDL)
        prefetch_l2(constants + (chunk * N + top) * WORDS, PDL)
    pdl_wait(PDL)
    for first in tl.range(0, chunks, SPLITS, num_stages=STAGES):
        chunk = tl.minimum(first + c, chunks - 1)
        r = _load_four(constants, chunk, n, N, LAYOUT.Q, ZERO_POINT)
        words = tl.load(codes + (chunk * N + n)[:, :, None] * LAYOUT.L + i)
        q, s = _decode(words, r, x.dtype.element_ty), _scales(r)
        plane, k_index = 4 * (first + c)[:, :, None], i[:, None]
        total = add_planes(total, q, s, x, plane, k_index, groups, LAYOUT, SEAMLESS)
    store(y, tl.sum(total, 0), row, token, M, N)
