"""Shares the blocks and does not count the new reader."""

LOSES = ["test_fork"]
PATCHES = {
    "fork": {
        "n + (block in table) for block, n": "n for _, n",
    },
}
