"""Attends over the tokens that were there before."""

LOSES = ["test_cached_attention"]
PATCHES = {
    "cached_attention": {
        "lengths + m)": "lengths)",
    },
}
