"""Counts the request that is only begun."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "int((memory - weights) // (tokens * a_token))": (
            "int(-((weights - memory) // (tokens * a_token)))"
        ),
    },
}
