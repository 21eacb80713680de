"""Adds a block to every request, also where the last one is full."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "-(-length // block)": "length // block + 1",
    },
}
