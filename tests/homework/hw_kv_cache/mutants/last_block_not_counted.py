"""Rounds the blocks that are needed down."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        "-(-(length + count) // size) - len(table)": (
            "max(0, (length + count) // size - len(table))"
        ),
    },
}
