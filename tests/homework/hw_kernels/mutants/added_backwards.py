"""Adds the last split first."""

LOSES = ["test_split_product"]
PATCHES = {
    "add_kernel": {
        "j * rows": "(splits - 1 - j) * rows",
    },
}
