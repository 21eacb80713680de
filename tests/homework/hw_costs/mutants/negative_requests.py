"""Fits fewer than no requests where the weights are too large."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "max(0, int((memory - weights) // (tokens * a_token)))": (
            "int((memory - weights) // (tokens * a_token))"
        ),
    },
}
