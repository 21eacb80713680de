"""Returns the part of the first split."""

LOSES = ["test_split_product"]
PATCHES = {
    "add_kernel": {
        "range(splits)": "range(1)",
    },
}
