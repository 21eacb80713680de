"""Shares the blocks, and begins with a length of 0."""

LOSES = ["test_fork"]
PATCHES = {
    "fork": {
        "other: length}": "other: 0}",
    },
}
