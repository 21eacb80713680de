"""Turns keys, and leaves queries as they are."""

LOSES = ["test_cached_attention"]
PATCHES = {
    "cached_attention": {
        "rotate(q, positions, base)": "q",
    },
}
