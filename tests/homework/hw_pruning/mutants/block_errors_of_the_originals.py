"""The error is that of the weight as it came in."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "    w, pruned": ("    first = w.clone()\n    w, pruned"),
        "(w[:, j] - pruned[:, j])": "first[:, j].masked_fill(kept[:, j], 0)",
    },
}
