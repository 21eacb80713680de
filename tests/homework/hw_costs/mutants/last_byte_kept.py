"""Leaves the last byte free, and loses what fits exactly."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "(memory - weights)": "(memory - weights - 1)",
    },
}
