"""Writes keys as they come, and turns queries only."""

LOSES = ["test_cached_attention"]
PATCHES = {
    "cached_attention": {
        "= rotate(k, positions, base)": "= k",
    },
}
