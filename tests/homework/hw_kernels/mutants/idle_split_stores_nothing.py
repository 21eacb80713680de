"""A split without groups leaves its part as it was allocated."""

LOSES = ["test_split_product"]
PATCHES = {
    "part_kernel": {
        "total, mask=there)": "total, mask=there & (first < groups))",
    },
}
