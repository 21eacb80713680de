"""Deals key-value heads out in turn: query i reads head i modulo their number."""

LOSES = ["test_attention"]
PATCHES = {
    "attention": {
        "keys.repeat_interleave(heads // kv_heads, 2)": (
            "keys.repeat(1, 1, heads // kv_heads, 1)"
        ),
        "values.repeat_interleave(heads // kv_heads, 2)": (
            "values.repeat(1, 1, heads // kv_heads, 1)"
        ),
    },
}
