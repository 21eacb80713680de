"""Lets nobody write once the budget is spent."""

LOSES = ["test_pieces"]
PATCHES = {
    "pieces": {
        "if pending == 1": "if pending == 1 and budget > 0",
    },
}
