"""Gives each row of a tile its own scale: a transpose has others."""

LOSES = ["test_quantize_tiles"]
PATCHES = {
    "quantize_tiles": {
        "w.split(tile):": "w.split(1):",
    },
}
