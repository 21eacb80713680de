"""Copies a block that nobody else reads."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        "length % size > 0 and readers[table[-1]] > 1": "length % size > 0",
    },
}
