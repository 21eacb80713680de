"""The block's mask is magnitude's."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "w.abs() / U.diagonal()": "w.abs()",
    },
}
