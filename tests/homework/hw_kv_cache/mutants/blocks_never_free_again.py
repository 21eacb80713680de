"""Forgets the request, and keeps counting it as a reader."""

LOSES = ["test_free"]
PATCHES = {
    "free": {
        "n - (block in table) for block, n": "n for _, n",
    },
}
