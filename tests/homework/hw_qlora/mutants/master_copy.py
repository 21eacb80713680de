"""Adds a float32 master copy to the weights."""

LOSES = ["test_full_bytes"]
PATCHES = {
    "full_bytes": {
        '"weights": 2 * weights': '"weights": 6 * weights',
    },
}
