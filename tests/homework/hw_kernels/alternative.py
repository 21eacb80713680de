"""The same numbers along other roads: bytes first, one row a program, int64."""

import math


def least_time(tokens, rows, cols, group):
    groups, width = math.ceil(cols / group), math.ceil(cols / 2)
    moved = {"codes": rows * width, "steps": 2 * rows * groups, "zeros": rows * groups}
    moved |= {"x": 2 * tokens * cols, "y": 4 * tokens * rows}
    reading = sum(moved.values()) / BANDWIDTH
    computing = 2 * tokens * rows * cols / PEAK
    return sum(moved.values()), reading if reading > computing else computing


@triton.jit
def dequantize_kernel(
    packed, steps, zeros, w, rows, cols, width, groups, group, BLOCK: tl.constexpr
):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row, col = at // width, at % width * 2
    inside = row < rows
    byte = tl.load(packed + at, inside, 0).to(tl.float32)
    high = tl.floor(byte / 16)
    for half in tl.static_range(2):
        code = high if half else byte - 16 * high
        there = inside & (col + half < cols)
        here = row * groups + (col + half) // group
        s, z = tl.load(steps + here, there, 0), tl.load(zeros + here, there, 0)
        value = s.to(tl.float32) * (code - z.to(tl.float32))
        tl.store(w + row * cols + col + half, value, there)


def dequantize(packed, steps, zeros, cols, group):
    (rows, width), groups = packed.shape, steps.size(1)
    w = steps.new_empty((rows, cols), dtype=torch.float32)
    sizes = rows, cols, width, groups, group
    dequantize_kernel[lambda m: (triton.cdiv(rows * width, m["BLOCK"]),)](
        packed, steps, zeros, w, *sizes, BLOCK=32
    )
    return w


@triton.jit
def product_kernel(x, packed, steps, zeros, y, rows, cols, group, ROWS: tl.constexpr):
    n, m = tl.program_id(1), tl.program_id(0)
    groups = (cols + group - 1) // group
    total = 0.0
    k = 0
    while k < cols:
        col = k + tl.arange(0, ROWS)
        there = col < cols
        byte = tl.load(packed + n * ((cols + 1) // 2) + col // 2, mask=there, other=0)
        code = tl.where(col % 2 == 0, byte & 15, byte >> 4).to(tl.float32)
        at = n * groups + col // group
        z = tl.load(zeros + at, mask=there, other=0).to(tl.float32)
        s = tl.load(steps + at, mask=there, other=0).to(tl.float32)
        each = tl.load(x + m * cols + col, mask=there, other=0).to(tl.float32)
        total += tl.sum(s * (code - z) * each, 0)
        k += ROWS
    tl.store(y + m * rows + n, total)


def product(x, packed, steps, zeros, group):
    (tokens, cols), rows = x.shape, len(packed)
    y = torch.zeros((tokens, rows))
    grid = (tokens, rows)
    product_kernel[grid](
        x, packed, steps, zeros, y, rows, cols, group, 128, num_warps=1
    )
    return y


@triton.jit
def part_kernel(
    x, packed, steps, zeros, parts, cols, group, groups, each, HALF: tl.constexpr
):
    j, row, i = tl.program_id(0), tl.program_id(1), tl.arange(0, HALF)
    total = 0.0
    for g in range(j * each, j * each + each):
        if g < groups:
            col = g * group + 2 * i
            low, high = (
                (2 * i < group) & (col < cols),
                (2 * i < group) & (col + 1 < cols),
            )
            byte = tl.load(packed + row * tl.cdiv(cols, 2) + col // 2, low, 0)
            zero = tl.load(zeros + row * groups + g).to(tl.int32)
            step = tl.load(steps + row * groups + g).to(tl.float32)
            first = (byte % 16).to(tl.int32) - zero
            second = (byte // 16).to(tl.int32) - zero
            pair = first * tl.load(x + col, low, 0).to(tl.float32)
            pair += second * tl.load(x + col + 1, high, 0).to(tl.float32)
            total += step * tl.sum(pair, 0)
    tl.store(parts + row * tl.num_programs(0) + j, total)


@triton.jit
def add_kernel(parts, y, splits):
    row = tl.program_id(0)
    total = tl.load(parts + row * splits)
    for j in range(1, splits):
        total += tl.load(parts + row * splits + j)
    tl.store(y + row, total)


def split_product(x, packed, steps, zeros, group, splits):
    rows, groups = steps.shape
    parts = torch.empty((rows, splits), dtype=torch.float32, device=x.device)
    y = parts.new_empty(rows)
    each, half = -(-groups // splits), triton.next_power_of_2(max(1, group // 2))
    part_kernel[(splits, rows)](
        x, packed, steps, zeros, parts, x.numel(), group, groups, each, HALF=half
    )
    add_kernel[(rows,)](parts, y, splits)
    return y


def rows_of_a_program():
    return 64


@triton.jit
def fast(x, packed, steps, y, tokens, rows, cols, width, ROWS: tl.constexpr):
    n, m = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, 16)
    i = tl.arange(0, 64)
    total = tl.zeros((16, ROWS), tl.float32)
    for g in tl.range(0, cols // 128, num_stages=3):
        place = packed + n[:, None] * width + g * 64 + i[None, :]
        byte = tl.load(place, mask=(n < rows)[:, None], other=136).to(tl.int16)
        here = x + m[:, None] * cols + g * 128 + i[None, :]
        first = tl.load(here, mask=(m < tokens)[:, None], other=0.0)
        second = tl.load(here + 64, mask=(m < tokens)[:, None], other=0.0)
        s = tl.load(steps + n * (cols // 128) + g, mask=n < rows, other=0.0)
        part = tl.dot(first, tl.trans((byte % 16 - 8).to(tl.float16)))
        part += tl.dot(second, tl.trans((byte // 16 - 8).to(tl.float16)))
        total += part * s.to(tl.float32)[None, :]
    inside = (m < tokens)[:, None] & (n < rows)[None, :]
    tl.store(y + m[:, None] * rows + n[None, :], total, mask=inside)


def fast_product(x, packed, steps):
    tokens, cols = x.shape
    rows, width = packed.shape
    y = x.new_empty((tokens, rows), dtype=torch.float32)
    tall = rows_of_a_program()
    grid = (triton.cdiv(rows, tall),)
    fast[grid](x, packed, steps, y, tokens, rows, cols, width, tall)
    return y
