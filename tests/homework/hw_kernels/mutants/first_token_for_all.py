"""Reads the first token in every program."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "x + token * cols + 2 * at,": "x + 2 * at,",
        "x + token * cols + 2 * at + 1,": "x + 2 * at + 1,",
    },
}
