"""Lets one program make every row of every token."""

LOSES = ["test_product"]


@triton.jit
def product_kernel(
    x, packed, steps, zeros, y, tokens, rows, cols, group, HALF: tl.constexpr
):
    i = tl.arange(0, HALF)
    width, groups = tl.cdiv(cols, 2), tl.cdiv(cols, group)
    for place in range(tokens * rows):
        token, row = place // rows, place % rows
        total = 0.0
        for g in range(groups):
            at = g * (group // 2) + i
            first = (i < group // 2) & (2 * at < cols)
            second = (i < group // 2) & (2 * at + 1 < cols)
            byte = tl.load(packed + row * width + at, mask=first, other=0).to(tl.int32)
            even = tl.load(x + token * cols + 2 * at, mask=first, other=0)
            odd = tl.load(x + token * cols + 2 * at + 1, mask=second, other=0)
            zero = tl.load(zeros + row * groups + g).to(tl.int32)
            terms = ((byte & 15) - zero) * even.to(tl.float32)
            terms += ((byte >> 4) - zero) * odd.to(tl.float32)
            total += tl.load(steps + row * groups + g).to(tl.float32) * tl.sum(terms, 0)
        tl.store(y + place, total)


def product(
    x: Tensor, packed: Tensor, steps: Tensor, zeros: Tensor, group: int
) -> Tensor:
    (tokens, cols), rows = x.shape, packed.shape[0]
    y = torch.empty(tokens, rows, dtype=torch.float32)
    half = triton.next_power_of_2(group // 2)
    sizes = (tokens, rows, cols, group)
    product_kernel[(1,)](x, packed, steps, zeros, y, *sizes, HALF=half)
    return y
