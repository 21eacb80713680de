"""Takes the last group for a whole one."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "(i < group // 2) & (2 * at < cols)": "i < group // 2",
        "(i < group // 2) & (2 * at + 1 < cols)": "i < group // 2",
    },
}
