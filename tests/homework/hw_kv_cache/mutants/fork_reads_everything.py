"""Counts a reader more for every block in use."""

LOSES = ["test_fork"]
PATCHES = {
    "fork": {
        "n + (block in table) for block, n": "n + (n > 0) for _, n",
    },
}
