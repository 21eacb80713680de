"""Divides the range by the number of levels: there is one level too many."""

LOSES = ["bonus_quantize_cache"]
PATCHES = {
    "quantize_cache": {
        "(2**bits - 1)": "2**bits",
    },
}
