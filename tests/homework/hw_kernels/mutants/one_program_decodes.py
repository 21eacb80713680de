"""Lets one program decode everything."""

LOSES = ["test_dequantize"]


@triton.jit
def dequantize_kernel(packed, steps, zeros, w, rows, cols, group, BLOCK: tl.constexpr):
    for row in range(rows):
        for first in range(0, cols, BLOCK):
            col = first + tl.arange(0, BLOCK)
            there = col < cols
            place = packed + row * tl.cdiv(cols, 2) + col // 2
            byte = tl.load(place, mask=there, other=0).to(tl.int32)
            at = row * tl.cdiv(cols, group) + col // group
            step = tl.load(steps + at, mask=there, other=0).to(tl.float32)
            zero = tl.load(zeros + at, mask=there, other=0).to(tl.int32)
            code = (byte >> (col % 2 * 4)) & 15
            tl.store(w + row * cols + col, step * (code - zero), mask=there)


def dequantize(
    packed: Tensor, steps: Tensor, zeros: Tensor, cols: int, group: int
) -> Tensor:
    rows = packed.shape[0]
    w = torch.empty(rows, cols, dtype=torch.float32)
    dequantize_kernel[(1,)](packed, steps, zeros, w, rows, cols, group, BLOCK=64)
    return w
