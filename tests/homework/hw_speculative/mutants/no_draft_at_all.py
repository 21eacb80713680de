"""Lets the target write alone: the text is right, and nothing is saved."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "range(min(gamma, stop - len(text) - 1))": "range(0)",
    },
}
