"""The kernels of nf4.py and nf4_dequantize.py: sixteen levels looked up in a warp.

    level of code q = what lane q mod 16 of the warp holds                 (shfl.idx)

A table in memory would cost an address and a load for each weight. Lanes 0 … 15 (and
16 … 31 again) hold the sixteen levels instead, and one shuffle a weight reads the lane
that the code names; the shuffle ignores all but the lowest four bits of its index, so
codes need shifting only.

Read in order: `skinny`, `_decode`, `_four_constants`; then `dequantize`.
"""

import struct

import torch

from lib.kernels.blocks import (
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
from lib.kernels.compiler import no_type_check, tl, triton
from lib.kernels.planes import FOUR
from lib.quant.normal_float import normal_float_levels

SEGMENT = "0x100f"  # shfl's c: index mod 16, within each half of the warp


def _lane_level(bits: list[int]) -> list[str]:
    """PTX that puts bits[lane mod 16] into T: four rounds of halving the choice.

    It depends on nothing that a loop changes, so that ptxas computes it once.
    """
    lines = [".reg .b32 T, lane, " + ", ".join(f"h{i}" for i in range(8)) + ";"]
    lines += [".reg .pred p;", "mov.u32 lane, %laneid;"]
    now = [f"0x{value:08x}" for value in bits]
    for bit in range(4):
        lines += [f"and.b32 T, lane, {1 << bit};", "setp.ne.b32 p, T, 0;"]
        for i in range(len(now) // 2):
            lines += [f"selp.b32 h{i}, {now[2 * i + 1]}, {now[2 * i]}, p;"]
        now = [f"h{i}" for i in range(len(now) // 2)]
    return [*lines, "mov.b32 T, h0;"]


def _words_text(dtype: torch.dtype) -> str:
    """PTX from two words to four pairs of levels in 16 bits."""
    bits = normal_float_levels().to(dtype).view(torch.int16).tolist()
    lines = [*_lane_level([value & 0xFFFF for value in bits]), ".reg .b32 a, b;"]
    for plane in range(FOUR):
        for name, half in (("a", 0), ("b", 16)):
            lines += [
                f"shr.u32 {name}, $4, {half + FOUR * plane};",
                f"shfl.sync.idx.b32 {name}, T, {name}, {SEGMENT}, 0xffffffff;",
            ]
        lines += [f"prmt.b32 ${plane}, a, b, 0x5410;"]  # a's lower half, then b's
    return "{" + "\n".join(lines) + "}"


def _bytes_text() -> str:
    """PTX from four bytes to the float32 levels of their high, then low, nibbles."""
    bits = [
        struct.unpack("<I", struct.pack("<f", level))[0]
        for level in normal_float_levels().tolist()
    ]
    lines = [*_lane_level(bits), ".reg .b32 a;"]
    for byte in range(4):
        for first, shift in ((0, 8 * byte + 4), (4, 8 * byte)):
            lines += [
                f"shr.u32 a, $8, {shift};",
                f"shfl.sync.idx.b32 ${first + byte}, T, a, {SEGMENT}, 0xffffffff;",
            ]
    return "{" + "\n".join(lines) + "}"


_WORDS_F16 = tl.constexpr(_words_text(torch.float16))
_WORDS_BF16 = tl.constexpr(_words_text(torch.bfloat16))
_WORDS_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,r")


def _pairs_text() -> str:
    """PTX from two words and the tables' place to four pairs of levels in 16 bits.

    Nibbles 1 and 4, and 3 and 6, change places, so that each byte holds two columns of
    a plane: planes 0, 2, 1, 3. A lane reads its own copy of the table, in its own bank.
    """
    lines = [
        ".reg .b32 lane, t, u;",
        "mov.u32 lane, %laneid;",
        "mov.u32 t, pairs;",
        "shl.b32 lane, lane, 2;",
        "add.u32 lane, lane, t;",
        "shr.u32 t, $4, 12;",
        "lop3.b32 t, t, $4, 0x0000F0F0, 0x28;",  # (t ^ w) & mask
        "shl.b32 u, t, 12;",
        "lop3.b32 t, t, $4, u, 0x96;",  # t ^ w ^ u
    ]
    for byte, plane in enumerate((0, 2, 1, 3)):
        lines += [
            f"prmt.b32 u, t, 0, 0x444{byte};",  # that byte alone
            "mad.lo.u32 u, u, 128, lane;",
            f"ld.shared.b32 ${plane}, [u];",
        ]
    return "{" + "\n".join(lines) + "}"


_PAIRS = tl.constexpr(_pairs_text())
_PAIRS_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,r")
_ROOM = tl.constexpr(".shared .align 128 .b8 pairs[32768];\nmov.u32 $0, pairs;")


@triton.jit
@no_type_check
def _spread(pairs):
    """256 pairs of levels in shared memory, 32 copies side by side, one a bank."""
    at = tl.inline_asm_elementwise(_ROOM, "=r", [], tl.int32, False, 1)
    byte, copies = tl.arange(0, 256)[:, None], 16 * tl.arange(0, 8)[None, :]
    pair = tl.broadcast_to(tl.load(pairs + byte), (256, 8))
    tl.inline_asm_elementwise(
        "st.shared.v4.b32 [$1], {$2, $2, $2, $2}; mov.u32 $0, 0;",
        "=r,r,r",
        [at + 128 * byte + copies, pair],
        tl.int32,
        False,
        1,
    )
    tl.debug_barrier()


_BYTES = tl.constexpr(_bytes_text())
_BYTES_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,=&r,=&r,=&r,=&r,r")


@triton.jit
@no_type_check
def _decode(words, levels, DTYPE: tl.constexpr):
    """The levels of four planes: in 16 bits by shuffles, in float32 from the table."""
    if tl.float16 == DTYPE:
        return tl.inline_asm_elementwise(
            _PAIRS, _PAIRS_OPERANDS, [words], (tl.float16,) * 4, True, 2
        )
    elif tl.bfloat16 == DTYPE:
        return tl.inline_asm_elementwise(
            _PAIRS, _PAIRS_OPERANDS, [words], (tl.bfloat16,) * 4, True, 2
        )
    else:
        return (
            tl.load(levels + (words & 15)),
            tl.load(levels + ((words >> 4) & 15)),
            tl.load(levels + ((words >> 8) & 15)),
            tl.load(levels + ((words >> 12) & 15)),
        )


@triton.jit
@no_type_check
def _double(code, nested, mean, dynamic):
    """d[q] c₂ + μ with two roundings, as lib.quant.double computes it."""
    return tl.load(dynamic + (code & 255)) * nested + mean


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
    constants, nested, mean, dynamic,
    c, n, N, groups,
    P: tl.constexpr,
    Q: tl.constexpr,
    BITS: tl.constexpr,
    NESTED: tl.constexpr,
    SEAMLESS: tl.constexpr,
):  # fmt: skip
    """c of rows n for the four planes of chunk c."""
    words = load_constants(constants, c, n, N, Q, BITS)
    w0, w1 = constant(words, 0, Q, BITS), constant(words, 1, Q, BITS)
    w2, w3 = constant(words, 2, Q, BITS), constant(words, 3, Q, BITS)
    if BITS == 8:
        d = _load_nested(nested, c, n, groups, P, NESTED, SEAMLESS)
        return (
            _double(w0, d[0], mean, dynamic),
            _double(w1, d[1], mean, dynamic),
            _double(w2, d[2], mean, dynamic),
            _double(w3, d[3], mean, dynamic),
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
        words = tl.load(codes + (plane // 4 * N + n) * L + i).to(tl.int32)
        level = tl.load(levels + ((words >> (plane % 4 * 4)) & 15))
        bits = constant_of(constants, plane, n, N, Q, BITS)
        if BITS == 8:
            block = n * groups + tl.minimum(plane // P, groups - 1)
            c = _double(bits, tl.load(nested + block // NESTED), mu, dynamic)
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
    for turn in tl.static_range(STAGES):
        chunk = tl.minimum(turn * SPLITS + c, chunks - 1)
        fetch(codes + (chunk * N + n) * L, CHAINED)
        fetch(constants + (chunk * N + top) * ((Q * BITS + 31) // 32), CHAINED)
    if x.dtype.element_ty != tl.float32:
        _spread(levels)
    follow(CHAINED)
    mu = tl.load(mean)
    for first in tl.range(0, chunks, SPLITS, num_stages=STAGES):
        chunk = tl.minimum(first + c, chunks - 1)  # beyond the last one x is 0
        scale = _four_constants(
            constants, nested, mu, dynamic, chunk, n, N, groups,
            P, Q, BITS, NESTED, SEAMLESS,
        )  # fmt: skip
        words = tl.load(codes + (chunk * N + n)[:, :, None] * L + i)
        q = _decode(words, levels, x.dtype.element_ty)
        plane, there = 4 * (first + c)[:, :, None], i[:, None]
        total = add_planes(total, q, scale, x, plane, there, groups, G, P, L, SEAMLESS)
    store(y, tl.sum(total, 0), row, token, M, N)


@triton.jit
@no_type_check
def dequantize(
    packed,  # bytes, two codes each, the first one in the high nibble
    constants, nested, mean, dynamic, levels,
    w,
    count, blocks,
    HALF: tl.constexpr,  # bytes of a block
    BYTES: tl.constexpr,  # and the power of two above
    RUNS: tl.constexpr,  # blocks of a program
    NESTED: tl.constexpr,
    WHOLE: tl.constexpr,  # no block is short, and HALF = BYTES
    SHUFFLE: tl.constexpr,
    CHAINED: tl.constexpr,
):  # fmt: skip
    """w = c l_q, multiplied in float32 and rounded once, 16 bytes to a store."""
    follow(CHAINED)
    block = tl.program_id(0) * RUNS + tl.arange(0, RUNS)
    known = tl.minimum(block, blocks - 1)
    c = tl.load(constants + known)
    if c.dtype == tl.uint8:
        c2 = tl.load(nested + known // NESTED)
        c = _double(c.to(tl.int32), c2, tl.load(mean), dynamic)
    place = tl.arange(0, BYTES)[None, :]
    at = block.to(tl.int64)[:, None] * HALF + place
    here = (block < blocks)[:, None]
    if not WHOLE:
        here = here & (place < HALF) & (at < (count + 1) // 2)
    codes = tl.load(packed + at, mask=here, other=0)
    if SHUFFLE:
        high, low = tl.inline_asm_elementwise(
            _BYTES, _BYTES_OPERANDS, [codes], (tl.float32, tl.float32), True, 4
        )
    else:
        high = tl.load(levels + (codes >> 4).to(tl.int32))
        low = tl.load(levels + (codes & 15).to(tl.int32))
    pair = tl.join(high * c[:, None], low * c[:, None])  # (RUNS, BYTES, 2)
    pair = tl.reshape(pair.to(w.dtype.element_ty), (RUNS, 2 * BYTES))
    place = tl.arange(0, 2 * BYTES)[None, :]
    at = block.to(tl.int64)[:, None] * (2 * HALF) + place
    here = (block < blocks)[:, None]
    if not WHOLE:
        here = here & (place < 2 * HALF) & (at < count)
    tl.store(w + at, pair, mask=here)
