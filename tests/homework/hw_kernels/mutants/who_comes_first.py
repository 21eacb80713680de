"""Lets every split add to y itself, in whatever order."""

LOSES = ["test_split_product"]


@triton.jit
def part_kernel(
    x, packed, steps, zeros, parts, rows, cols, group, each,
    ROWS: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    first = tl.program_id(1) * each
    i = tl.arange(0, HALF)
    there = row < rows
    width, groups = tl.cdiv(cols, 2), tl.cdiv(cols, group)
    total = tl.zeros((ROWS,), tl.float32)
    for g in range(first, tl.minimum(first + each, groups)):
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
    total += tl.load(parts + row, mask=there, other=0)
    tl.store(parts + row, total, mask=there)


def split_product(
    x: Tensor, packed: Tensor, steps: Tensor, zeros: Tensor, group: int, splits: int
) -> Tensor:
    (rows, groups), cols, tall = steps.shape, x.shape[0], 16
    each, half = triton.cdiv(groups, splits), triton.next_power_of_2(group // 2)
    y = torch.zeros(rows, dtype=torch.float32)
    sizes = (rows, cols, group, each)
    part_kernel[(triton.cdiv(rows, tall), splits)](
        x, packed, steps, zeros, y, *sizes, ROWS=tall, HALF=half
    )
    return y
