"""Turns new tokens as if they were a text's first."""

LOSES = ["test_cached_attention"]
PATCHES = {
    "cached_attention": {
        "rotate(k, positions, base)": "rotate(k, positions - lengths[:, None], base)",
        "rotate(q, positions, base)": "rotate(q, positions - lengths[:, None], base)",
    },
}
