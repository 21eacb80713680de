"""Keeps the moments in 16 bits."""

LOSES = ["test_full_bytes"]
PATCHES = {
    "full_bytes": {
        "8 * weights": "4 * weights",
    },
}
