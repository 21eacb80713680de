"""Stores how many blocks there are as the length."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        "name: length + count}": "name: len(table)}",
    },
}
