"""Adds what happens at once."""

LOSES = ["test_layer_time"]
PATCHES = {
    "layer_time": {
        "max(moving, computing)": "moving + computing",
    },
}
