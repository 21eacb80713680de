"""Frees every block of the request, whoever else reads it."""

LOSES = ["test_free"]
PATCHES = {
    "free": {
        "n - (block in table) for block, n": "0 if block in table else n for block, n",
    },
}
