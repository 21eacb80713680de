"""Reads the weights again for every token: K N² bytes."""

LOSES = ["test_layer_time"]
PATCHES = {
    "layer_time": {
        "weights = inputs": "weights = tokens * inputs",
    },
}
