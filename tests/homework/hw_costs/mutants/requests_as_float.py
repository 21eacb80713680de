"""Returns a float, for `//` of floats is one."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "max(0, int((memory - weights) // (tokens * a_token)))": (
            "max(0.0, (memory - weights) // (tokens * a_token))"
        ),
    },
}
