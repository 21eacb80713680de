"""Makes ROWS rows in the last program too."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "row < rows": "row >= 0",
    },
}
