"""Stores the whole block: beyond the row, and beyond the tensor."""

LOSES = ["test_dequantize"]
PATCHES = {
    "dequantize_kernel": {
        "step * (code - zero), mask=inside": "step * (code - zero)",
    },
}
