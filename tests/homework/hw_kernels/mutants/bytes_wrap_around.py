"""Subtracts in uint8, where 3 - 5 is 254."""

LOSES = ["test_dequantize"]


@triton.jit
def dequantize_kernel(packed, steps, zeros, w, cols, group, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    col = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = col < cols
    byte = tl.load(packed + row * tl.cdiv(cols, 2) + col // 2, mask=inside, other=0)
    code = (byte >> (col % 2 * 4).to(tl.uint8)) & 15
    at = row * tl.cdiv(cols, group) + col // group
    step = tl.load(steps + at, mask=inside, other=0).to(tl.float32)
    zero = tl.load(zeros + at, mask=inside, other=0)
    tl.store(w + row * cols + col, step * (code - zero), mask=inside)
