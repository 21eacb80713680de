"""The kernel of nf4_dequantize.py: sixteen levels looked up in a warp.

    level of code q = what lane q mod 16 of the warp holds                 (shfl.idx)

A table in memory would cost an address and a load for each weight. Lanes 0 … 15 (and
16 … 31 again) hold the sixteen levels instead, and one shuffle a weight reads the lane
that the code names; the shuffle ignores all but the lowest four bits of its index, so
codes need shifting only.

Read in order: `dequantize`, `_bytes_text`.
"""

import struct

from lib.kernels.blocks import follow
from lib.kernels.compiler import no_type_check, tl, triton
from lib.kernels.nf4_triton import double
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


_BYTES = tl.constexpr(_bytes_text())
_BYTES_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,=&r,=&r,=&r,=&r,r")


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
        c = double(c.to(tl.int32), c2, tl.load(mean), dynamic)
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
