"""Makes ROWS rows in the last program too."""

LOSES = ["test_product"]


@triton.jit
def product_kernel(
    x, packed, steps, zeros, y, rows, cols, group,
    ROWS: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    token = tl.program_id(1)
    i = tl.arange(0, HALF)
    there = row >= 0
    width, groups = tl.cdiv(cols, 2), tl.cdiv(cols, group)
    total = tl.zeros((ROWS,), tl.float32)
    for g in range(groups):
        at = g * (group // 2) + i
        first = (i < group // 2) & (2 * at < cols)
        second = (i < group // 2) & (2 * at + 1 < cols)
        tile = packed + row[:, None] * width + at[None, :]
        byte = tl.load(tile, mask=there[:, None] & first[None, :], other=0)
        even = tl.load(x + token * cols + 2 * at, mask=first, other=0)
        odd = tl.load(x + token * cols + 2 * at + 1, mask=second, other=0)
        zero = tl.load(zeros + row * groups + g, mask=there, other=0)
        step = tl.load(steps + row * groups + g, mask=there, other=0)
        low = (byte & 15).to(tl.int32) - zero[:, None].to(tl.int32)
        high = (byte >> 4).to(tl.int32) - zero[:, None].to(tl.int32)
        terms = low * even[None, :].to(tl.float32) + high * odd[None, :].to(tl.float32)
        total += step.to(tl.float32) * tl.sum(terms, 1)
    tl.store(y + token * rows + row, total, mask=there)
