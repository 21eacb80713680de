"""Gives the cache all of the memory."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "(memory - weights)": "(memory)",
    },
}
