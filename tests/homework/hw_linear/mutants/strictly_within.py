"""Asks for less than the tolerance, where exactly that suffices."""

LOSES = ["test_bits_for"]
PATCHES = {
    "bits_for": {
        "math.ceil(": "1 + math.floor(",
    },
}
