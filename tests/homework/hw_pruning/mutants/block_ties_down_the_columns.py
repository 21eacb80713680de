"""Of equal scores the one in the earlier column stays, not in the earlier row."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "kept_share(w.abs() / U.diagonal(), sparsity)": (
            "kept_share((w.abs() / U.diagonal()).T, sparsity).T"
        ),
    },
}
