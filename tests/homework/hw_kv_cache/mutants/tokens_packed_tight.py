"""Counts tokens, as if two requests could have one block."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "memory // (token * block)": "memory // token",
        "-(-length // block)": "length",
    },
}
