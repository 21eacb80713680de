"""Reads the inputs and writes nothing."""

LOSES = ["test_layer_time"]
PATCHES = {
    "layer_time": {
        "(inputs + outputs)": "inputs",
    },
}
