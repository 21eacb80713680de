"""Counts a multiply-add as one operation."""

LOSES = ["test_layer_time"]
PATCHES = {
    "layer_time": {
        "2 * tokens": "tokens",
    },
}
