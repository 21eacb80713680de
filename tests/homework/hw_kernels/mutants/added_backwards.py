"""Adds the last split first."""

LOSES = ["test_split_product"]


@triton.jit
def add_kernel(parts, y, rows, splits, BLOCK: tl.constexpr):
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    for j in range(splits):
        total += tl.load(
            parts + (splits - 1 - j) * rows + row, mask=row < rows, other=0
        )
    tl.store(y + row, total, mask=row < rows)
