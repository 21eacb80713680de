"""Reads a prompt at once or not at all."""

LOSES = ["test_pieces"]
PATCHES = {
    "pieces": {
        "elif budget > 0": "elif budget >= pending",
    },
}
