"""Rounds the number that goes to the nearest integer."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_share": {
        "int(score.numel() * sparsity)": "round(score.numel() * sparsity)",
    },
}
