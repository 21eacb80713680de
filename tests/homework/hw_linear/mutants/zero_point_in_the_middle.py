"""Puts the zero point into the middle where all weights are 0."""

LOSES = ["test_zero_point_quantize"]
PATCHES = {
    "zero_point_quantize": {
        "    return codes.to": """    if high == low:
        zero = zero + 2 ** (bits - 1)
    return codes.to""",
    },
}
