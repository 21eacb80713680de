"""As a beginner writes it: a row a program, loops over columns, remarks."""


@triton.jit
def dequantize_kernel(packed, steps, zeros, w, cols, group, BLOCK: "tl.constexpr"):
    n, groups = tl.program_id(0), (cols + group - 1) // group
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)  # bytes
    there: tl.constexpr = True
    if there:
        byte = tl.load(packed + n * ((cols + 1) // 2) + j, mask=2 * j < cols, other=0)
    low, high = byte.to(tl.int32) & 15, byte.to(tl.int32) >> 4
    g = n * groups + 2 * j // group  # groups are even: both codes are in one
    s = tl.load(steps + g, mask=2 * j < cols, other=0.0).to(tl.float32)
    z = tl.load(zeros + g, mask=2 * j < cols, other=0).to(tl.int32)
    tl.store(w + n * cols + 2 * j, (low - z) * s, mask=2 * j < cols)
    tl.store(w + n * cols + 2 * j + 1, (high - z) * s, mask=2 * j + 1 < cols)


def dequantize(packed, steps, zeros, cols, group):
    rows: int = len(packed)
    if group % 2:
        raise ValueError(f"groups of {group} columns are not even")
    w = torch.full((rows, cols), 0.0, dtype=torch.float32)
    sizes = [cols, group]
    for_each = lambda meta: (rows, triton.cdiv(cols, 2 * meta["BLOCK"]))  # noqa: E731
    dequantize_kernel[for_each](packed, steps, zeros, w, *sizes, BLOCK=128)
    return w


@triton.jit
def product_kernel(x, packed, steps, zeros, y, rows, cols, group, BLOCK: tl.constexpr):
    n, m = tl.program_id(0), tl.program_id(1)
    result = 0.0
    for g in range(tl.cdiv(cols, group)):
        step = tl.load(steps + n * tl.cdiv(cols, group) + g).to(tl.float32)
        zero = tl.load(zeros + n * tl.cdiv(cols, group) + g).to(tl.int32)
        total = tl.zeros((BLOCK,), tl.float32)
        for start in range(g * group, g * group + group, BLOCK):
            k = start + tl.arange(0, BLOCK)
            inside = (k < g * group + group) & (k < cols)
            place = packed + n * tl.cdiv(cols, 2) + k // 2
            byte = tl.load(place, mask=inside, other=0).to(tl.int32)
            code = tl.where(k % 2 == 1, byte // 16, byte % 16)
            number = tl.load(x + m * cols + k, mask=inside, other=0.0).to(tl.float32)
            total += (code - zero).to(tl.float32) * number
        result += step * tl.sum(total, axis=0)
    tl.store(y + m * rows + n, result)


def product(x, packed, steps, zeros, group):
    """Each number of y has a program."""
    tokens, cols = x.shape
    rows = packed.shape[0]
    print(tokens, "tokens", rows, "rows")
    y = torch.zeros(tokens, rows)
    assert x.is_contiguous(), "x is not contiguous"
    product_kernel[rows, tokens](
        x, packed, steps, zeros, y, rows, cols, group, BLOCK=64
    )
    return y
