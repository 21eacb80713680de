"""Divides by the 2^b levels; between them lie only 2^b - 1 steps."""

LOSES = ["test_zero_point_quantize"]
PATCHES = {
    "zero_point_quantize": {
        "(high - low) / (2**bits - 1)": "(high - low) / 2**bits",
    },
}
