"""Calls kept what is not zero."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "return pruned, kept": "return pruned, pruned != 0",
    },
}
