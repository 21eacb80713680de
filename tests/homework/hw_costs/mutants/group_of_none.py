"""Divides by a group of 0."""

LOSES = ["test_weights_gb"]
PATCHES = {
    "weights_gb": {
        "16 / group if group else 0": "16 / group",
    },
}
