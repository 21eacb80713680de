"""Trusts the range, and lets two roundings push a code to 2^b."""

LOSES = ["test_zero_point_quantize"]
PATCHES = {
    "zero_point_quantize": {
        ".clamp(0, 2**bits - 1)": "",
    },
}
