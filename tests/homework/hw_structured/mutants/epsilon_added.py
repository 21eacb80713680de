"""Adds a small number to the norm, which is not small beside a small layer."""

LOSES = ["test_head_importance"]
PATCHES = {
    "head_importance": {
        "importance / torch.where(norm > 0, norm, 1)": ("importance / (norm + 1e-8)"),
    },
}
