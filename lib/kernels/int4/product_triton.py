"""The kernels of int4.py: from one number a program to the matrix unit.

    y[m, n] = Σ_g s[g, n] Σ_{k in g} (q[n, k] - z[g, n]) x[m, k]

Decoding: 0x6400 as fp16 is 1024, where neighbours are 1 apart; so 0x6400 | q is
1024 + q, and taking off 1024 + z leaves q - z, for two weights at once. In bf16 0x4300,
128, does the same.

Read in order: `naive`, `wide`, `skinny`; then `_decode`, which all but `naive` call.
Source of the trick: Kim et al. 2022, arXiv:2211.10017.
"""

from lib.kernels.core.blocks import (
    VARY,
    activations,
    add_planes,
    constant,
    constant_of,
    fetch,
    follow,
    load_constants,
    place,
    store,
)
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.core.planes import FOUR


def _unpack_two(magic: str, kind: str) -> str:
    """PTX that takes two words and four biases to four pairs of q - z."""
    lines = [".reg .b32 t;", "mov.b32 t, $4;"]
    for plane in range(FOUR):
        if plane:
            lines += [f"shr.u32 t, $4, {FOUR * plane};"]
        lines += [
            f"lop3.b32 t, t, 0x000F000F, {magic}, 0xEA;",  # t & mask | magic
            f"sub.rn.{kind}x2 ${plane}, t, ${plane + FOUR + 1};",
        ]
    return "{" + "\n".join(lines) + "}"


_UNPACK_F16 = tl.constexpr(_unpack_two("0x64006400", "f16"))
_UNPACK_BF16 = tl.constexpr(_unpack_two("0x43004300", "bf16"))
_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,r,r,r,r,r")


@triton.jit
@no_type_check
def _decode(words, r, DTYPE: tl.constexpr):
    """Four planes of q - z; r holds the constants of each plane's group.

    Where the matrix unit takes 16 bits, two at a time; in float32, as one would write.
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
            ((q & 15) - tl.expand_dims(_zero(r[0]), -1)).to(DTYPE),
            (((q >> 4) & 15) - tl.expand_dims(_zero(r[1]), -1)).to(DTYPE),
            (((q >> 8) & 15) - tl.expand_dims(_zero(r[2]), -1)).to(DTYPE),
            (((q >> 12) & 15) - tl.expand_dims(_zero(r[3]), -1)).to(DTYPE),
        )


@triton.jit
@no_type_check
def _bias(r, MAGIC: tl.constexpr, ONE: tl.constexpr, DTYPE: tl.constexpr):
    """ONE + z, by writing z into the lowest bits of MAGIC, whose value is ONE."""
    if r.dtype == tl.int32:
        b = (_zero(r).to(tl.int16) | MAGIC).to(DTYPE, bitcast=True)
    else:
        b = tl.full(r.shape, ONE + 8, DTYPE)
    return tl.expand_dims(b, -1)


@triton.jit
@no_type_check
def _zero(r):
    """z of loaded constants: the upper half, or 8 where there is only a step."""
    if r.dtype == tl.int32:
        return r >> 16
    else:
        return tl.full(r.shape, 8, tl.int32)


@triton.jit
@no_type_check
def _step(r):
    """s of loaded constants, in float32."""
    if r.dtype == tl.int32:
        return r.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
    else:
        return r.to(tl.float32)


@triton.jit
@no_type_check
def _steps(r):
    """The steps of four planes."""
    return _step(r[0]), _step(r[1]), _step(r[2]), _step(r[3])


@triton.jit
@no_type_check
def _stored(bits, BITS: tl.constexpr):
    """A constant from its bits: an fp16 step, or int32 with a step and a zero point."""
    if BITS == 16:
        return bits.to(tl.int16).to(tl.float16, bitcast=True)
    else:
        return bits


@triton.jit
@no_type_check
def _load_four(constants, c, n, N, Q: tl.constexpr, BITS: tl.constexpr):
    """Constants of rows n for the four planes of chunk c."""
    words = load_constants(constants, c, n, N, Q, BITS)
    return (
        _stored(constant(words, 0, Q, BITS), BITS),
        _stored(constant(words, 1, Q, BITS), BITS),
        _stored(constant(words, 2, Q, BITS), BITS),
        _stored(constant(words, 3, Q, BITS), BITS),
    )


@triton.jit(do_not_specialize=VARY)
@no_type_check
def naive(
    x,  # (M, K)
    codes,  # (chunks, N, L)
    constants,  # (chunks, N, words): fp16 steps, or int32 of step and zero point
    y,  # (M, N)
    M, N, K, chunks, groups,
    G: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    Q: tl.constexpr,
    BITS: tl.constexpr,  # of a constant
):  # fmt: skip
    """One program, one number: no code serves two tokens, no matrix unit is asked."""
    n, m = tl.program_id(0), tl.program_id(1).to(tl.int64)
    i = tl.arange(0, L)
    total = 0.0
    for plane in range(4 * chunks):
        words = tl.load(codes + (plane // 4 * N + n) * L + i).to(tl.int32)
        q = (words >> (plane % 4 * 4)) & 15
        r = _stored(constant_of(constants, plane, n, N, Q, BITS), BITS)
        there = activations(x + m * K, plane, i, groups, G, P, L, False)
        total += _step(r) * tl.sum((q - _zero(r)) * there.to(tl.float32), 0)
    tl.store(y + m * N + n, total.to(y.dtype.element_ty))


@triton.jit(do_not_specialize=VARY)
@no_type_check
def wide(
    x, codes, constants,
    y,  # (M, N); with splits (splits, M, N) in float32, to be summed
    M, N, K, chunks, groups,
    each,  # chunks of a split
    G: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    Q: tl.constexpr,
    BITS: tl.constexpr,
    SEAMLESS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    CHAINED: tl.constexpr,
):  # fmt: skip
    """A tile of Ŵ against a tile of x on the matrix unit, copies running ahead.

    Codes go from device memory through shared memory to the registers in which the
    matrix unit wants Ŵ; what is decoded is never stored.
    """
    row, token, n, x = place(x, M, N, K, ROWS, BATCH)
    first, i = tl.program_id(2) * each, tl.arange(0, L)
    total = tl.zeros((ROWS, BATCH), tl.float32)
    for turn in tl.static_range(STAGES):
        chunk = tl.minimum(first + turn, chunks - 1)
        fetch(codes + (chunk * N + n) * L, CHAINED)
    follow(CHAINED)
    for c in tl.range(first, tl.minimum(first + each, chunks), num_stages=STAGES):
        r = _load_four(constants, c, n, N, Q, BITS)
        words = tl.load(codes + (c * N + n)[:, None] * L + i)
        q, s = _decode(words, r, x.dtype.element_ty), _steps(r)
        there = i[:, None]
        total = add_planes(total, q, s, x, 4 * c, there, groups, G, P, L, SEAMLESS)
    store(y + tl.program_id(2).to(tl.int64) * M * N, total, row, token, M, N)


@triton.jit(do_not_specialize=VARY)
@no_type_check
def skinny(
    x, codes, constants, y,
    M, N, K, chunks, groups,
    G: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    Q: tl.constexpr,
    BITS: tl.constexpr,
    SEAMLESS: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    CHAINED: tl.constexpr,
):  # fmt: skip
    """`wide` with the splits inside: every warp sums its own chunks of the same rows.

    A batched product gives each warp one chunk, so that few rows still keep many warps
    busy; they meet once, at the end, and no second kernel has to be launched.
    """
    row, token, n, x = place(x, M, N, K, ROWS, BATCH)
    n, x, i = n[None, :], x[None], tl.arange(0, L)
    c = tl.arange(0, SPLITS)[:, None]  # a chunk a warp
    total = tl.zeros((SPLITS, ROWS, BATCH), tl.float32)
    top = tl.program_id(0) * ROWS
    for turn in tl.static_range(STAGES):
        chunk = tl.minimum(turn * SPLITS + c, chunks - 1)
        fetch(codes + (chunk * N + n) * L, CHAINED)
        fetch(constants + (chunk * N + top) * ((Q * BITS + 31) // 32), CHAINED)
    follow(CHAINED)
    for first in tl.range(0, chunks, SPLITS, num_stages=STAGES):
        chunk = tl.minimum(first + c, chunks - 1)  # beyond the last one x is 0
        r = _load_four(constants, chunk, n, N, Q, BITS)
        words = tl.load(codes + (chunk * N + n)[:, :, None] * L + i)
        q, s = _decode(words, r, x.dtype.element_ty), _steps(r)
        plane, there = 4 * (first + c)[:, :, None], i[:, None]
        total = add_planes(total, q, s, x, plane, there, groups, G, P, L, SEAMLESS)
    store(y, tl.sum(total, 0), row, token, M, N)
