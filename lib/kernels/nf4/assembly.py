"""Assembly that looks up NF4's sixteen levels, in three shapes.

    level of code q = what lane q mod 16 of the warp holds                 (shfl.idx)
    pair of codes in a byte b → (level of b mod 16, level of b div 16)     (ld.shared)

A level cannot be computed from its code, and a table in device memory would cost an
address and a load for each weight. Lanes 0 … 15 (and 16 … 31 again) hold the sixteen
levels instead, and one shuffle a weight reads the lane that the code names; the shuffle
ignores all but the lowest four bits of its index, so codes need shifting only.

Shared memory has 32 banks and answers one word from each at a time. So the 256 pairs
may lie there 32 times side by side, a copy a bank: a lane that reads its own copy never
waits for another, and one load finds two levels. But the table has to be filled first.

The 256 levels of 8-bit scales lie there too, once: a warp wants those of few rows.
Whoever reads that table is handed its address. The table of pairs is known by a symbol
instead, in all assembly of a kernel: as an operand beside the codes its address would
stop Triton from decoding in the registers of the matrix unit's operand.

Read in order: `words_text`, `bytes_text`, `float_words_text`, by shuffles;
`table_text`, `pair_text`, `pairs_text`, `level_text`, by loads.
"""

import struct

import torch

from lib.kernels.core.planes import CODE_BITS, PLANES_PER_WORD
from lib.quant.codebooks.normal_float import normal_float_levels

SEGMENT = "0x100f"  # shfl's c: index mod 16, within each half of the warp
PAIRS = "nf4_pairs"  # the symbol
PAIRS_BYTES = 32 << 10  # of the table of pairs: 256 pairs of 4 bytes, 32 copies
LEVELS_BYTES = 1 << 10  # of the 256 levels of 8-bit scales, in float32


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


def _block(lines: list[str]) -> str:
    """Assembly whose registers and symbols are its own."""
    return "{" + "\n".join(lines) + "}"


def _in_16_bits(dtype: torch.dtype) -> list[int]:
    bits = normal_float_levels().to(dtype).view(torch.int16).tolist()
    return [value & 0xFFFF for value in bits]


def words_text(dtype: torch.dtype) -> str:
    """Four bytes to their pairs of levels in 16 bits, a plane each: by shuffles."""
    lines = [*_lane_level(_in_16_bits(dtype)), ".reg .b32 a, b;"]
    for plane in range(PLANES_PER_WORD):
        for name, half in (("a", 0), ("b", CODE_BITS)):
            lines += [
                f"shr.u32 {name}, $4, {half + 2 * CODE_BITS * plane};",
                f"shfl.sync.idx.b32 {name}, T, {name}, {SEGMENT}, 0xffffffff;",
            ]
        lines += [f"prmt.b32 ${plane}, a, b, 0x5410;"]  # a's lower half, then b's
    return _block(lines)


def _eight_floats(shifts: list[int]) -> str:
    """PTX from a word to eight float32 levels: of the codes at these bits of it."""
    bits = [
        struct.unpack("<I", struct.pack("<f", level))[0]
        for level in normal_float_levels().tolist()
    ]
    lines = [*_lane_level(bits), ".reg .b32 a;"]
    for result, shift in enumerate(shifts):
        lines += [
            f"shr.u32 a, $8, {shift};",
            f"shfl.sync.idx.b32 ${result}, T, a, {SEGMENT}, 0xffffffff;",
        ]
    return _block(lines)


def bytes_text() -> str:
    """Four bytes to the float32 levels of their high, then of their low nibbles."""
    high, low = ([8 * byte + first for byte in range(4)] for first in (4, 0))
    return _eight_floats(high + low)


def float_words_text() -> str:
    """Four bytes, a plane each, to two neighbouring float32 levels of each plane."""
    return _eight_floats([CODE_BITS * code for code in range(2 * PLANES_PER_WORD)])


def table_text(symbol: str, size: int) -> str:
    """The address of `size` bytes of shared memory, which get the name `symbol`.

    No block: the symbol is known from here to the end of the kernel.
    """
    return f".shared .align 128 .b8 {symbol}[{size}];\nmov.u32 $0, {symbol};"


def pair_text(dtype: torch.dtype) -> str:
    """Four copies of the byte $2's pair of levels, to address $1: by shuffles."""
    lines = [
        *_lane_level(_in_16_bits(dtype)),
        ".reg .b32 a, b;",
        f"shfl.sync.idx.b32 a, T, $2, {SEGMENT}, 0xffffffff;",
        "shr.u32 b, $2, 4;",
        f"shfl.sync.idx.b32 b, T, b, {SEGMENT}, 0xffffffff;",
        "prmt.b32 a, a, b, 0x5410;",
        "st.shared.v4.b32 [$1], {a, a, a, a};",
        "mov.u32 $0, 0;",
    ]
    return _block(lines)


def pairs_text() -> str:
    """What `words_text` does, by loads from the table of pairs."""
    lines = [
        ".reg .b32 lane, u;",
        "mov.u32 lane, %laneid;",
        f"mov.u32 u, {PAIRS};",
        "shl.b32 lane, lane, 2;",
        "add.u32 lane, lane, u;",
    ]
    for plane in range(PLANES_PER_WORD):
        lines += [
            f"prmt.b32 u, $4, 0, 0x444{plane};",  # that byte alone
            "mad.lo.u32 u, u, 128, lane;",
            f"ld.shared.b32 ${plane}, [u];",
        ]
    return _block(lines)


def level_text() -> str:
    """The level of the lowest byte of $1, from the table of levels at address $2."""
    lines = [
        ".reg .b32 u;",
        "and.b32 u, $1, 255;",
        "mad.lo.u32 u, u, 4, $2;",
        "ld.shared.b32 $0, [u];",
    ]
    return _block(lines)
