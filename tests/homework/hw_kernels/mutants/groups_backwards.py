"""Adds a split's last group first."""

LOSES = ["test_split_product"]
PATCHES = {
    "part_kernel": {
        "range(first, ": "range(",
        "first + each, groups)": "first + each, groups) - 1, first - 1, -1",
    },
}
