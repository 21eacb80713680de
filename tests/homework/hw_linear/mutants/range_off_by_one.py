"""Gives 8 bits the range of -128: 2^(b-1) steps on a side, for 2^(b-1) - 1."""

LOSES = ["test_absmax_quantize"]
PATCHES = {
    "absmax_quantize": {
        "2 ** (bits - 1) - 1": "2 ** (bits - 1)",
    },
}
