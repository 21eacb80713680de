"""Overlooks a group that does not divide an odd number of columns."""

LOSES = ["test_quantize_weight"]
PATCHES = {
    "quantize_weight": {
        "if group < 1 or cols % group:": "if cols % 2 == 0 and cols % group:",
    },
}
