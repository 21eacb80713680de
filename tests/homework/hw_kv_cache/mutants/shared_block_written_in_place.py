"""Writes into a block that others read."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        "length % size > 0 and readers[table[-1]] > 1": "False",
    },
}
