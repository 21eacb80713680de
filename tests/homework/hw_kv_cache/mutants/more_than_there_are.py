"""Counts the places, and not who is there to take them."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "min(len(lengths), memory // (token * context))": "memory // (token * context)",
    },
}
