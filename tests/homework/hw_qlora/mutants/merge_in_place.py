"""Merges into the tensor that it is given."""

LOSES = ["test_merged"]
PATCHES = {
    "merged": {
        "return w + ": "w += ",
        "(b @ a)": "(b @ a)\n    return w",
    },
}
