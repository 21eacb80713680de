"""Rounds: half a request becomes one."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "int((memory - weights) // (tokens * a_token))": (
            "round((memory - weights) / (tokens * a_token))"
        ),
    },
}
