"""Leaves its sums where the steps were: the next call gets nonsense."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "tl.store(y + token * rows + row, total, mask=there)": """
    tl.store(y + token * rows + row, total, mask=there)
    tl.store(steps + row * groups, total, mask=there & (token == 0))""",
    },
}
