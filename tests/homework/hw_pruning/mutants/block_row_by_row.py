"""Each row loses as many, as Wanda has it."""

LOSES = ["test_prune_block"]
PATCHES = {
    "prune_block": {
        "kept_share(w.abs() / U.diagonal(), sparsity)": (
            "torch.stack([kept_share(r, sparsity) for r in w.abs() / U.diagonal()])"
        ),
    },
}
