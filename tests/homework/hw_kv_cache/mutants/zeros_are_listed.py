"""Lists those who get nothing."""

LOSES = ["test_pieces"]
PATCHES = {
    "pieces": {
        "elif budget > 0": "else",
    },
}
