"""Returns the cache as it was."""

LOSES = ["test_cached_attention"]
PATCHES = {
    "cached_attention": {
        "    keys, values = keys.clone(), values.clone()\n": (
            "    given = keys, values\n"
            "    keys, values = keys.clone(), values.clone()\n"
        ),
        "return out, keys, values": "return out, *given",
    },
}
