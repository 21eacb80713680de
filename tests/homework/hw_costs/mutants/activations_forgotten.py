"""Moves the weights alone."""

LOSES = ["test_layer_time"]
PATCHES = {
    "layer_time": {
        "(weights + rows)": "weights",
    },
}
