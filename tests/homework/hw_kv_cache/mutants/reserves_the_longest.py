"""Reserves for the longest request here, not for the most that one may have."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "token * context": "token * max(lengths)",
    },
}
