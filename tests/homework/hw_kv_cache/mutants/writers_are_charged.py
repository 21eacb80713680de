"""Charges writers as well, so that readers get less."""

LOSES = ["test_pieces"]
PATCHES = {
    "pieces": {
        "taken[name] = 1\n": "taken[name] = 1\n            budget -= 1\n",
    },
}
