"""Keeps the token behind the end of the text."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "new.index(end) + 1": "new.index(end) + 2",
    },
}
