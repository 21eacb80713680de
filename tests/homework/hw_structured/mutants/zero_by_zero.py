"""Divides a layer of zeros by its norm."""

LOSES = ["test_head_importance"]
PATCHES = {
    "head_importance": {
        "importance / torch.where(norm > 0, norm, 1)": ("importance / norm"),
    },
}
