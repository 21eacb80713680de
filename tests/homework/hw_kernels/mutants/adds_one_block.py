"""Adds the first 64 rows only."""

LOSES = ["test_split_product"]
PATCHES = {
    "split_product": {
        "(triton.cdiv(rows, 64),)": "(1,)",
    },
}
