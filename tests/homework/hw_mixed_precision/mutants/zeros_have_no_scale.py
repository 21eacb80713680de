"""Gives a tile of zeros the scale 0."""

LOSES = ["test_quantize_tiles"]
PATCHES = {
    "quantize_tiles": {
        "if f else 1.0": "if f else 0.0",
    },
}
