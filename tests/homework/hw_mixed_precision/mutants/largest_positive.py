"""Overlooks large negative numbers."""

LOSES = ["test_quantize_tiles"]
PATCHES = {
    "quantize_tiles": {
        "part.abs().max()": "part.max().abs()",
    },
}
