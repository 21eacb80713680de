"""Lets the matrix unit add in float16."""

LOSES = ["bonus_fast"]


@triton.jit
def fast(x, packed, steps, y, tokens, rows, cols, width, ROWS: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    token, i = tl.arange(0, 16), tl.arange(0, 64)
    here, asked = row[:, None] < rows, token[None, :] < tokens
    total = tl.zeros((ROWS, 16), tl.float32)
    for g in range(cols // 128):
        tile = packed + row[:, None] * width + g * 64 + i[None, :]
        byte = tl.load(tile, mask=here, other=0)
        place = x + token[None, :] * cols + g * 128 + i[:, None]
        low = ((byte & 15).to(tl.int8) - 8).to(tl.float16)
        high = ((byte >> 4).to(tl.int8) - 8).to(tl.float16)
        part = tl.dot(low, tl.load(place, mask=asked, other=0), out_dtype=tl.float16)
        part = tl.dot(
            high, tl.load(place + 64, mask=asked, other=0), part, out_dtype=tl.float16
        )
        step = tl.load(steps + row * (cols // 128) + g, mask=row < rows, other=0)
        total += step.to(tl.float32)[:, None] * part
    tl.store(y + token[None, :] * rows + row[:, None], total, mask=here & asked)
