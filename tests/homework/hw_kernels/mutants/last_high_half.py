"""Multiplies the last high half of an odd row, which is nobody's."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "2 * at + 1 < cols": "2 * at < cols",
    },
}
