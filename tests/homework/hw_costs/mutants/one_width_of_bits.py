"""Stores the activations in the weights' bits."""

LOSES = ["test_layer_time"]
PATCHES = {
    "layer_time": {
        "* activation_bits / 8": "* weight_bits / 8",
    },
}
