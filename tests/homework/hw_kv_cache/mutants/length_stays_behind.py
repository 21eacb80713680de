"""Forgets the table, and keeps the length."""

LOSES = ["test_free"]
PATCHES = {
    "free": {
        ' for n, length in state["lengths"].items() if n != name': (
            ' for n, length in state["lengths"].items()'
        ),
    },
}
