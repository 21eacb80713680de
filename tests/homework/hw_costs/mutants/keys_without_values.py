"""Counts keys and forgets the values."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "2 * layers": "layers",
    },
}
