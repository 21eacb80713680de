"""Chooses a column's mask when it comes up."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "    for j in range(w.shape[1]):": (
            "    for j in range(w.shape[1]):\n"
            "        kept = kept.clone()\n"
            "        kept[:, j:] = kept_share(w[:, j:].abs() / "
            "U.diagonal()[j:], sparsity)"
        ),
    },
}
