"""Rounds down what stays, and not what goes."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_share": {
        "    dropped = int(score.numel() * sparsity)": (
            "    dropped = score.numel() - int(score.numel() * (1 - sparsity))"
        ),
    },
}
