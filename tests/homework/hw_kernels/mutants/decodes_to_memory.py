"""Decodes Ŵ to memory in one kernel, and multiplies in a second."""

LOSES = ["test_product"]


@triton.jit
def decode_kernel(packed, steps, zeros, w, cols, group, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    col = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = col < cols
    byte = tl.load(packed + row * tl.cdiv(cols, 2) + col // 2, mask=there, other=0)
    code = (byte.to(tl.int32) >> (col % 2 * 4)) & 15
    at = row * tl.cdiv(cols, group) + col // group
    step = tl.load(steps + at, mask=there, other=0).to(tl.float32)
    zero = tl.load(zeros + at, mask=there, other=0).to(tl.int32)
    tl.store(w + row * cols + col, step * (code - zero), mask=there)


@triton.jit
def product_kernel(x, w, y, rows, cols, BLOCK: tl.constexpr):
    row, token = tl.program_id(0), tl.program_id(1)
    total = 0.0
    for first in range(0, cols, BLOCK):
        col = first + tl.arange(0, BLOCK)
        one = tl.load(w + row * cols + col, mask=col < cols, other=0)
        other = tl.load(x + token * cols + col, mask=col < cols, other=0)
        total += tl.sum(one * other.to(tl.float32), 0)
    tl.store(y + token * rows + row, total)


def product(
    x: Tensor, packed: Tensor, steps: Tensor, zeros: Tensor, group: int
) -> Tensor:
    (tokens, cols), rows = x.shape, packed.shape[0]
    w = torch.empty(rows, cols, dtype=torch.float32)
    y = torch.empty(tokens, rows, dtype=torch.float32)
    decode_kernel[(rows, triton.cdiv(cols, 128))](
        packed, steps, zeros, w, cols, group, BLOCK=128
    )
    product_kernel[(rows, tokens)](x, w, y, rows, cols, BLOCK=128)
    return y
