"""Goes through all splits in one program, and splits nothing."""

LOSES = ["test_split_product"]


@triton.jit
def part_kernel(
    x, packed, steps, zeros, y, rows, cols, group, each, splits, HALF: tl.constexpr
):
    row, i = tl.program_id(0), tl.arange(0, HALF)
    width, groups = tl.cdiv(cols, 2), tl.cdiv(cols, group)
    total = 0.0
    for j in range(splits):
        part = 0.0
        for g in range(j * each, tl.minimum(j * each + each, groups)):
            at = g * (group // 2) + i
            here = (i < group // 2) & (2 * at < cols)
            last = (i < group // 2) & (2 * at + 1 < cols)
            byte = tl.load(packed + row * width + at, mask=here, other=0).to(tl.int32)
            even = tl.load(x + 2 * at, mask=here, other=0).to(tl.float32)
            odd = tl.load(x + 2 * at + 1, mask=last, other=0).to(tl.float32)
            zero = tl.load(zeros + row * groups + g).to(tl.int32)
            terms = ((byte & 15) - zero) * even + ((byte >> 4) - zero) * odd
            part += tl.load(steps + row * groups + g).to(tl.float32) * tl.sum(terms, 0)
        total += part
    tl.store(y + row, total)


def split_product(
    x: Tensor, packed: Tensor, steps: Tensor, zeros: Tensor, group: int, splits: int
) -> Tensor:
    (rows, groups), cols = steps.shape, x.shape[0]
    each, half = triton.cdiv(groups, splits), triton.next_power_of_2(group // 2)
    y = torch.empty(rows, dtype=torch.float32)
    part_kernel[(rows,)](
        x, packed, steps, zeros, y, rows, cols, group, each, splits, HALF=half
    )
    return y
