"""The kernel of nf4/dequantize.py: levels looked up in a warp, 16 bytes to a store.

A program has RUNS blocks, one after another in memory: it reads their packed bytes and
their scales, and writes two numbers a byte. In 16 bits a thread's four bytes become
eight neighbouring numbers, which one store writes.

The tensor has no rows here, only its `count` numbers in order: the last block may be
short, and an odd count leaves the last byte's low nibble unused. Where a block has no
power of two of bytes, BYTES is the power above, and what exceeds the block is masked.

Read in order: `dequantize`; `bytes_text` in nf4/assembly.py.
"""

from lib.kernels.core.blocks import pdl_wait
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.nf4.assembly import bytes_text
from lib.kernels.nf4.scales_triton import block_scale

_BYTES = tl.constexpr(bytes_text())
_BYTES_OPERANDS = tl.constexpr("=&r,=&r,=&r,=&r,=&r,=&r,=&r,=&r,r")


@triton.jit
@no_type_check
def dequantize(
    packed,  # bytes, two codes each, the first one in the high nibble
    scales,  # `Scales`, with (blocks,) per block
    levels,  # 16
    w,  # (count,)
    count, blocks,
    HALF: tl.constexpr,  # bytes of a block
    BYTES: tl.constexpr,  # and the power of two above
    RUNS: tl.constexpr,  # blocks of a program
    NESTED: tl.constexpr,
    WHOLE: tl.constexpr,  # no block is short, and HALF = BYTES
    SHUFFLE: tl.constexpr,  # levels by shuffles; else (interpreted) from memory
    PDL: tl.constexpr,
):  # fmt: skip
    """w = c l_q of RUNS blocks, multiplied in float32 and rounded once."""
    pdl_wait(PDL, FIRST_LAUNCH=True)
    block = tl.program_id(0) * RUNS + tl.arange(0, RUNS)
    known = tl.minimum(block, blocks - 1)
    c = tl.load(scales.per_block + known)
    if c.dtype == tl.uint8:
        nested = tl.load(scales.nested + known // NESTED)
        c = block_scale(c.to(tl.int32), nested, tl.load(scales.mean), scales.dynamic)
    byte = tl.arange(0, BYTES)[None, :]
    offset = block.to(tl.int64)[:, None] * HALF + byte
    mask = (block < blocks)[:, None]
    if not WHOLE:
        mask = mask & (byte < HALF) & (offset < (count + 1) // 2)
    codes = tl.load(packed + offset, mask=mask, other=0)
    if SHUFFLE:
        high, low = tl.inline_asm_elementwise(
            _BYTES, _BYTES_OPERANDS, [codes], (tl.float32, tl.float32), True, 4
        )
    else:
        high = tl.load(levels + (codes >> 4).to(tl.int32))
        low = tl.load(levels + (codes & 15).to(tl.int32))
    pair = tl.join(high * c[:, None], low * c[:, None])  # (RUNS, BYTES, 2)
    pair = tl.reshape(pair.to(w.dtype.element_ty), (RUNS, 2 * BYTES))
    number = tl.arange(0, 2 * BYTES)[None, :]
    offset = block.to(tl.int64)[:, None] * (2 * HALF) + number
    mask = (block < blocks)[:, None]
    if not WHOLE:
        mask = mask & (number < 2 * HALF) & (offset < count)
    tl.store(w + offset, pair, mask=mask)
