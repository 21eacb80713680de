"""Forgets that the copy needs a free block as well."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        "if copied + more >": "if more >",
    },
}
