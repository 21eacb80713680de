"""Begins a new block for each step, and wastes what the last one has left."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        "-(-(length + count) // size) - len(table)": "-(-count // size)",
    },
}
