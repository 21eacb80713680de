"""Takes the shorter time."""

LOSES = ["test_layer_time"]
PATCHES = {
    "layer_time": {
        "max(moving, computing)": "min(moving, computing)",
    },
}
