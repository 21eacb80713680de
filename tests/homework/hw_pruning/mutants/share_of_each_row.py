"""Takes the share of each row, not of all scores."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_share": {
        "    dropped = int(score.numel() * sparsity)": (
            "    if score.ndim == 2 and len(score) > 1:\n"
            "        return torch.stack([kept_share(row, sparsity) for row "
            "in score])\n"
            "    dropped = int(score.numel() * sparsity)"
        ),
    },
}
