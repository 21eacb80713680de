"""Lets every split add to y itself, in whatever order."""

LOSES = ["test_split_product"]
PATCHES = {
    "part_kernel": {
        "tl.zeros((ROWS,), tl.float32)": "tl.load(parts + row, mask=there, other=0)",
        "parts + tl.program_id(1) * rows + row": "parts + row",
    },
    "split_product": {
        "torch.empty(splits, rows": "torch.zeros(splits, rows",
        "(parts, y, rows, splits": "(parts, y, rows, 1",
    },
}
