"""Gives each weight whole bytes: 4 bits become none."""

LOSES = ["test_weights_gb"]
PATCHES = {
    "weights_gb": {
        "parameters * (bits + scale) / 8": "parameters * ((bits + scale) // 8)",
    },
}
