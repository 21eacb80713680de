"""Takes HALF bytes a group, of which the last are the next group's."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "(i < group // 2) & (2 * at < cols)": "2 * at < cols",
        "(i < group // 2) & (2 * at + 1 < cols)": "2 * at + 1 < cols",
    },
}
