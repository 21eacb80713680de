"""Loads the weights again for every request."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "(memory - weights) // (tokens * a_token)": (
            "memory // (weights + tokens * a_token)"
        ),
    },
}
