"""Turns values as well."""

LOSES = ["test_cached_attention"]
PATCHES = {
    "cached_attention": {
        "values[rows, positions] = v": (
            "values[rows, positions] = rotate(v, positions, base)"
        ),
    },
}
