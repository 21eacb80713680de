"""Compares over the whole layer, not within a row."""

LOSES = ["test_wanda"]
PATCHES = {
    "wanda_mask": {
        "torch.stack([kept_share(row, sparsity) for row in score])": (
            "kept_share(score, sparsity)"
        ),
    },
}
