"""Multiplies the code itself."""

LOSES = ["test_dequantize"]


@triton.jit
def dequantize_kernel(packed, steps, zeros, w, cols, group, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    col = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = col < cols
    byte = tl.load(packed + row * tl.cdiv(cols, 2) + col // 2, mask=inside, other=0)
    code = (byte.to(tl.int32) >> (col % 2 * 4)) & 15
    at = row * tl.cdiv(cols, group) + col // group
    step = tl.load(steps + at, mask=inside, other=0).to(tl.float32)
    tl.store(w + row * cols + col, step * code, mask=inside)
