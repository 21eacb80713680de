"""Multiplies the code itself."""

LOSES = ["test_dequantize"]
PATCHES = {
    "dequantize_kernel": {
        "step * (code - zero)": "step * code",
    },
}
