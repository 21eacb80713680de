"""The kernels of nf4.py: the product of int4_triton.py with levels for integers.

Read in order: `skinny`; `_spread`, `code_at`, `_decode`; `_four_constants`. The
assembly is in nf4_assembly.py.
"""

import torch

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
from lib.kernels.nf4.assembly import (
    constant_text,
    pair_text,
    pairs_text,
    room_text,
    words_text,
)

_WORDS_F16 = tl.constexpr(words_text(torch.float16))
_WORDS_BF16 = tl.constexpr(words_text(torch.bfloat16))
_PAIRS = tl.constexpr(pairs_text())
_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,r")
_PAIR_F16 = tl.constexpr(pair_text(torch.float16))
_PAIR_BF16 = tl.constexpr(pair_text(torch.bfloat16))
_ROOM_OF_PAIRS = tl.constexpr(room_text("pairs", 32 << 10))
_ROOM_OF_CONSTANTS = tl.constexpr(room_text("dynamic", 1 << 10))
_CONSTANT = tl.constexpr(constant_text())


@triton.jit
@no_type_check
def _spread(dynamic, DTYPE: tl.constexpr):
    """256 pairs of levels in shared memory, 32 copies side by side, one a bank.

    And the 256 levels of 8-bit constants, once. The names `pairs` and `dynamic` hold
    from here to the end of the kernel, in all of its assembly.
    """
    at = tl.inline_asm_elementwise(_ROOM_OF_PAIRS, "=r", [], tl.int32, False, 1)
    byte, copies = tl.arange(0, 256)[:, None], 16 * tl.arange(0, 8)[None, :]
    TEXT: tl.constexpr = _PAIR_F16 if tl.float16 == DTYPE else _PAIR_BF16
    tl.inline_asm_elementwise(
        TEXT, "=r,r,r", [at + 128 * byte + copies, byte], tl.int32, False, 1
    )
    at = tl.inline_asm_elementwise(_ROOM_OF_CONSTANTS, "=r", [], tl.int32, False, 1)
    tl.inline_asm_elementwise(
        "st.shared.b32 [$1], $2; mov.u32 $0, 0;",
        "=r,r,r",
        [at + 4 * tl.arange(0, 256), dynamic],
        tl.int32,
        False,
        1,
    )
    tl.debug_barrier()


@triton.jit
@no_type_check
def code_at(row, j, i):
    """The code at place i of plane j; `row` points at a chunk's words of the row."""
    pairs = tl.load(row + (i // 2 * 2 + j // 2)).to(tl.int32)
    return (pairs >> (j % 2 * 8 + i % 2 * 4)) & 15


@triton.jit
@no_type_check
def _decode(row, i, levels, DTYPE: tl.constexpr, PAIRED: tl.constexpr):
    """The levels of four planes: in 16 bits by assembly, in float32 from memory."""
    words = tl.load(row + i)
    if PAIRED and tl.float16 == DTYPE:
        return tl.inline_asm_elementwise(
            _PAIRS, _OPERANDS, [words], (tl.float16,) * 4, True, 2
        )
    elif PAIRED:
        return tl.inline_asm_elementwise(
            _PAIRS, _OPERANDS, [words], (tl.bfloat16,) * 4, True, 2
        )
    elif tl.float16 == DTYPE:
        return tl.inline_asm_elementwise(
            _WORDS_F16, _OPERANDS, [words], (tl.float16,) * 4, True, 2
        )
    elif tl.bfloat16 == DTYPE:
        return tl.inline_asm_elementwise(
            _WORDS_BF16, _OPERANDS, [words], (tl.bfloat16,) * 4, True, 2
        )
    else:
        return (
            tl.load(levels + code_at(row, 0, i)),
            tl.load(levels + code_at(row, 1, i)),
            tl.load(levels + code_at(row, 2, i)),
            tl.load(levels + code_at(row, 3, i)),
        )


@triton.jit
@no_type_check
def double(code, nested, mean, dynamic, SPREAD: tl.constexpr = False):
    """d[q] c₂ + μ; with two roundings, as lib.quant, if no launch fuses them."""
    if SPREAD:
        d = tl.inline_asm_elementwise(_CONSTANT, "=r,r", [code], tl.float32, True, 1)
    else:
        d = tl.load(dynamic + (code & 255))
    return d * nested + mean


@triton.jit
@no_type_check
def _load_nested(
    nested, c, n, groups,
    P: tl.constexpr,
    NESTED: tl.constexpr,
    SEAMLESS: tl.constexpr,
):  # fmt: skip
    """The constants of a chunk's constants; one, where no NESTED ends in the chunk."""
    first, last = n * groups, groups - 1
    c0 = tl.load(nested + (first + tl.minimum(4 * c // P, last)) // NESTED)
    c1, c2, c3 = c0, c0, c0
    if not (SEAMLESS and NESTED % 4 == 0):
        c1 = tl.load(nested + (first + tl.minimum((4 * c + 1) // P, last)) // NESTED)
        c2 = tl.load(nested + (first + tl.minimum((4 * c + 2) // P, last)) // NESTED)
        c3 = tl.load(nested + (first + tl.minimum((4 * c + 3) // P, last)) // NESTED)
    return c0, c1, c2, c3


@triton.jit
@no_type_check
def _four_constants(
    constants, nested, of_row, mean, dynamic,
    c, n, N, groups,
    P: tl.constexpr,
    Q: tl.constexpr,
    BITS: tl.constexpr,
    NESTED: tl.constexpr,
    SEAMLESS: tl.constexpr,
    PER_ROW: tl.constexpr,
    SPREAD: tl.constexpr,
):  # fmt: skip
    """c of rows n for the four planes of chunk c."""
    words = load_constants(constants, c, n, N, Q, BITS)
    w0, w1 = constant(words, 0, Q, BITS), constant(words, 1, Q, BITS)
    w2, w3 = constant(words, 2, Q, BITS), constant(words, 3, Q, BITS)
    if BITS == 8:
        d = of_row, of_row, of_row, of_row
        if not PER_ROW:
            d = _load_nested(nested, c, n, groups, P, NESTED, SEAMLESS)
        return (
            double(w0, d[0], mean, dynamic, SPREAD),
            double(w1, d[1], mean, dynamic, SPREAD),
            double(w2, d[2], mean, dynamic, SPREAD),
            double(w3, d[3], mean, dynamic, SPREAD),
        )
    else:
        return (
            w0.to(tl.float32, bitcast=True),
            w1.to(tl.float32, bitcast=True),
            w2.to(tl.float32, bitcast=True),
            w3.to(tl.float32, bitcast=True),
        )


@triton.jit(do_not_specialize=VARY)
@no_type_check
def naive(
    x,  # (M, K)
    codes,  # (chunks, N, L)
    constants,  # (chunks, N, words): float32, or bytes with double quantization
    nested, mean, dynamic,  # of double quantization
    levels,  # 16
    y,  # (M, N)
    M, N, K, chunks, groups,
    G: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    Q: tl.constexpr,
    BITS: tl.constexpr,  # of a constant
    NESTED: tl.constexpr,
):  # fmt: skip
    """One program, one number, its levels from a table."""
    n, m = tl.program_id(0), tl.program_id(1).to(tl.int64)
    i = tl.arange(0, L)
    mu = tl.load(mean)
    total = 0.0
    for plane in range(4 * chunks):
        row = codes + (plane // 4 * N + n) * L
        level = tl.load(levels + code_at(row, plane % 4, i))
        bits = constant_of(constants, plane, n, N, Q, BITS)
        if BITS == 8:
            block = n * groups + tl.minimum(plane // P, groups - 1)
            c = double(bits, tl.load(nested + block // NESTED), mu, dynamic)
        else:
            c = bits.to(tl.float32, bitcast=True)
        there = activations(x + m * K, plane, i, groups, G, P, L, False)
        total += c * tl.sum(level * there.to(tl.float32), 0)
    tl.store(y + m * N + n, total.to(y.dtype.element_ty))


@triton.jit(do_not_specialize=VARY)
@no_type_check
def skinny(
    x, codes, constants, nested, mean, dynamic, levels, y,
    M, N, K, chunks, groups,
    G: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    Q: tl.constexpr,
    BITS: tl.constexpr,
    NESTED: tl.constexpr,
    SEAMLESS: tl.constexpr,
    PER_ROW: tl.constexpr,  # a row's constants share theirs
    PAIRED: tl.constexpr,  # by tables in shared memory
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    STAGES: tl.constexpr,
    CHAINED: tl.constexpr,
):  # fmt: skip
    """The `skinny` of int4_triton.py, with levels for integers."""
    row, token, n, x = place(x, M, N, K, ROWS, BATCH)
    n, x, i = n[None, :], x[None], tl.arange(0, L)
    c = tl.arange(0, SPLITS)[:, None]  # a chunk a warp
    total = tl.zeros((SPLITS, ROWS, BATCH), tl.float32)
    top = tl.program_id(0) * ROWS
    if PAIRED:
        spread = tl.load(dynamic + tl.arange(0, 256))  # on its way meanwhile
    for turn in tl.static_range(STAGES):
        chunk = tl.minimum(turn * SPLITS + c, chunks - 1)
        fetch(codes + (chunk * N + n) * L, CHAINED)
        fetch(constants + (chunk * N + top) * ((Q * BITS + 31) // 32), CHAINED)
    if PAIRED:
        _spread(spread, x.dtype.element_ty)
    follow(CHAINED)
    mu, of_row = tl.load(mean), 0.0
    if PER_ROW:
        of_row = tl.load(nested + n * groups // NESTED)
    for first in tl.range(0, chunks, SPLITS, num_stages=STAGES):
        chunk = tl.minimum(first + c, chunks - 1)  # beyond the last one x is 0
        scale = _four_constants(
            constants, nested, of_row, mu, dynamic, chunk, n, N, groups,
            P, Q, BITS, NESTED, SEAMLESS, PER_ROW, PAIRED,
        )  # fmt: skip
        row_of_words = codes + (chunk * N + n)[:, :, None] * L
        q = _decode(row_of_words, i, levels, x.dtype.element_ty, PAIRED)
        plane, there = 4 * (first + c)[:, :, None], i[:, None]
        total = add_planes(total, q, scale, x, plane, there, groups, G, P, L, SEAMLESS)
    store(y, tl.sum(total, 0), row, token, M, N)
