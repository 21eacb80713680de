"""Guesses even where gamma is 0."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "min(gamma, stop": "min(max(gamma, 1), stop",
    },
}
