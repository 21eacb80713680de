"""Keeps a place free."""

LOSES = ["test_touch"]
PATCHES = {
    "touch": {
        "(room - 1)": "max(0, room - 2)",
    },
}
