"""Divides all layers by one norm."""

LOSES = ["test_head_importance"]
PATCHES = {
    "head_importance": {
        "importance.norm(dim=1, keepdim=True)": ("importance.norm()"),
    },
}
