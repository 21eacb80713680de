"""Repeats the list of constants instead of each constant."""

LOSES = ["test_dequantize_blocks"]
PATCHES = {
    "dequantize_blocks": {
        "constants.repeat_interleave": "constants.repeat",
    },
}
