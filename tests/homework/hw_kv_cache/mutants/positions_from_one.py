"""Counts positions from 1."""

LOSES = ["test_cached_attention"]
PATCHES = {
    "cached_attention": {
        "rotate(k, positions, base)": "rotate(k, positions + 1, base)",
        "rotate(q, positions, base)": "rotate(q, positions + 1, base)",
    },
}
