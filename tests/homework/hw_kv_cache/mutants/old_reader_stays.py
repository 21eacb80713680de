"""Leaves the old block with one reader too many: it is never free again."""

LOSES = ["test_append"]
PATCHES = {
    "append": {
        "        readers[old] -= 1\n": "",
    },
}
