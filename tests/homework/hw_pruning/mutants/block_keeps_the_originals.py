"""What stays does not move."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "    return pruned": (
            "    pruned = torch.where(kept, first, 0)\n    return pruned"
        ),
        "    w, pruned": ("    first = w.clone()\n    w, pruned"),
    },
}
