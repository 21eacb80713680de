"""Deals the groups in turn, one to each split."""

LOSES = ["test_split_product"]


@triton.jit
def part_kernel(
    x, packed, steps, zeros, parts, rows, cols, group, each,
    ROWS: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    first = tl.program_id(1)
    i = tl.arange(0, HALF)
    there = row < rows
    width, groups = tl.cdiv(cols, 2), tl.cdiv(cols, group)
    total = tl.zeros((ROWS,), tl.float32)
    for g in range(first, groups, tl.num_programs(1)):
        at = g * (group // 2) + i
        here = (i < group // 2) & (2 * at < cols)
        last = (i < group // 2) & (2 * at + 1 < cols)
        tile = packed + row[:, None] * width + at[None, :]
        byte = tl.load(tile, mask=there[:, None] & here[None, :], other=0)
        even = tl.load(x + 2 * at, mask=here, other=0).to(tl.float32)
        odd = tl.load(x + 2 * at + 1, mask=last, other=0).to(tl.float32)
        zero = tl.load(zeros + row * groups + g, mask=there, other=0)
        step = tl.load(steps + row * groups + g, mask=there, other=0)
        low = (byte & 15).to(tl.int32) - zero[:, None].to(tl.int32)
        high = (byte >> 4).to(tl.int32) - zero[:, None].to(tl.int32)
        terms = low * even[None, :] + high * odd[None, :]
        total += step.to(tl.float32) * tl.sum(terms, 1)
    tl.store(parts + tl.program_id(1) * rows + row, total, mask=there)
