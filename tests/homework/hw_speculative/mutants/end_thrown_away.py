"""Stops before the end of the text, and does not keep it."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "new.index(end) + 1": "new.index(end)",
    },
}
