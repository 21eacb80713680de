"""Takes U's column for its row: all zeros."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "U[j, j + 1 :]": "U[j + 1 :, j]",
    },
}
