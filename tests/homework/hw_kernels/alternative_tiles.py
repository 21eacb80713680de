"""Tiles everywhere: halves interleaved, groups by the matrix unit, parts in a tile."""


@triton.jit
def dequantize_kernel(
    packed, steps, zeros, w, rows, cols, group, ROWS: tl.constexpr, BYTES: tl.constexpr
):
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    place = tl.program_id(0) * BYTES + tl.arange(0, BYTES)[None, :]
    col = tl.program_id(0) * BYTES * 2 + tl.arange(0, 2 * BYTES)[None, :]
    width, groups = (cols + 1) // 2, (cols - 1) // group + 1
    there = (row < rows) & (place < width)
    byte = tl.load(packed + row * width + place, mask=there, other=0).to(tl.int16)
    code = tl.interleave(byte & 15, byte >> 4)
    there = (row < rows) & (col < cols)
    at = row * groups + col // group
    code -= tl.load(zeros + at, mask=there, other=0).to(tl.int16)
    step = tl.load(steps + at, mask=there, other=0).to(tl.float32)
    tl.store(w + row * cols + col, code.to(tl.float32) * step, mask=there)


def dequantize(packed, steps, zeros, cols, group):
    rows, tall, wide = packed.shape[0], 4, 16
    w = torch.zeros((rows, cols), dtype=torch.float32)
    grid = (triton.cdiv(packed.shape[1], wide), triton.cdiv(rows, tall))
    dequantize_kernel[grid](
        packed, steps, zeros, w, rows, cols, group, ROWS=tall, BYTES=wide
    )
    return w


@triton.jit
def product_kernel(
    x, packed, steps, zeros, y, tokens, rows, cols, group,
    ROWS: tl.constexpr, HALF: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    token = tl.program_id(1) * TOKENS + tl.arange(0, TOKENS)
    i = tl.arange(0, HALF)
    there, asked = (row < rows)[:, None], (token < tokens)[None, :]
    total = tl.zeros((ROWS, TOKENS), tl.float32)
    for g in range((cols + group - 1) // group):
        col = g * group + 2 * i
        here, both = (2 * i < group) & (col < cols), (2 * i < group) & (col + 1 < cols)
        place = packed + row[:, None] * tl.cdiv(cols, 2) + col[None, :] // 2
        byte = tl.load(place, mask=there & here[None, :], other=0).to(tl.float32)
        high = tl.floor(byte / 16)
        at = row * tl.cdiv(cols, group) + g
        zero = tl.load(zeros + at, mask=row < rows, other=0).to(tl.float32)[:, None]
        step = tl.load(steps + at, mask=row < rows, other=0).to(tl.float32)[:, None]
        column = x + token[None, :] * cols + col[:, None]
        even = tl.load(column, mask=asked & here[:, None], other=0).to(tl.float32)
        odd = tl.load(column + 1, mask=asked & both[:, None], other=0).to(tl.float32)
        part = tl.dot(byte - 16 * high - zero, even, input_precision="ieee")
        part = tl.dot(high - zero, odd, part, input_precision="ieee")
        total += part * step
    tl.store(y + token[None, :] * rows + row[:, None], total, mask=there & asked)


def product(x, packed, steps, zeros, group):
    tokens, cols = x.size()
    rows = packed.size(0)
    y = torch.empty((tokens, rows))
    half = max(16, triton.next_power_of_2(group // 2))
    sizes = (tokens, rows, cols, group)
    product_kernel[(triton.cdiv(rows, 16), triton.cdiv(tokens, 16))](
        x, packed, steps, zeros, y, *sizes, 16, half, 16
    )
    return y


@triton.jit
def add_kernel(parts, y, rows, splits, BLOCK: tl.constexpr, SPLITS: tl.constexpr):
    row, j = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, SPLITS)
    there = (row < rows)[None, :] & (j < splits)[:, None]
    tile = tl.load(parts + j[:, None] * rows + row[None, :], mask=there, other=0)
    total = tl.zeros((BLOCK,), tl.float32)
    for k in tl.static_range(SPLITS):
        total += tl.sum(tl.where(j[:, None] == k, tile, 0.0), 0)
    tl.store(y + row, total, mask=row < rows)


def split_product(x, packed, steps, zeros, group, splits):
    """The other kernel is the notebook's own."""
    rows, groups = steps.shape
    parts, y = torch.empty(splits, rows), torch.empty(rows)
    each, half = triton.cdiv(groups, splits), triton.next_power_of_2(group // 2)
    sizes = (rows, x.shape[0], group, each)
    part_kernel[(triton.cdiv(rows, 8), splits)](
        x, packed, steps, zeros, parts, *sizes, ROWS=8, HALF=half
    )
    some = triton.next_power_of_2(splits)
    add_kernel[(triton.cdiv(rows, 32),)](parts, y, rows, splits, BLOCK=32, SPLITS=some)
    return y
