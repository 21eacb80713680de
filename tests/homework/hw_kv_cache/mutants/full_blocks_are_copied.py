"""Copies a shared last block that is full, and will not be written."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        "length % size > 0 and readers[table[-1]] > 1": (
            "bool(table) and readers[table[-1]] > 1"
        ),
    },
}
