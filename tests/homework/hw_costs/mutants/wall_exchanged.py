"""Names the wall that is not met."""

LOSES = ["test_layer_time"]
PATCHES = {
    "layer_time": {
        "moving > computing": "moving < computing",
    },
}
