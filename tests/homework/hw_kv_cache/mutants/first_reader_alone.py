"""Reads one prompt in a pass, whatever the budget has left."""

LOSES = ["test_pieces"]
PATCHES = {
    "pieces": {
        "budget -= taken[name]": "budget = 0",
    },
}
