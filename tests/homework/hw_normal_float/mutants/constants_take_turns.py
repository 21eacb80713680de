"""Repeats the list of constants instead of each constant."""

LOSES = ["test_dequantize_blocks", "test_double_dequantize"]
PATCHES = {
    "dequantize_blocks": {
        "constants.repeat_interleave": "constants.repeat",
    },
}
