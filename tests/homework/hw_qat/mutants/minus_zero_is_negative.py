"""Reads the sign bit, which -0.0 has."""

LOSES = ["test_binarize"]
PATCHES = {
    "binarize": {
        "x >= 0": "~x.signbit()",
    },
}
