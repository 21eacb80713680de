"""The kernel of nf4_dequantize.py: levels looked up in a warp, 16 bytes to a store.

Read in order: `dequantize`; bytes_text in nf4_assembly.py.
"""

from lib.kernels.core.blocks import follow
from lib.kernels.core.compiler import no_type_check, tl, triton
from lib.kernels.nf4.assembly import bytes_text
from lib.kernels.nf4.product_triton import double

_BYTES = tl.constexpr(bytes_text())
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
