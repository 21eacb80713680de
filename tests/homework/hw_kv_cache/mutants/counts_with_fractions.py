"""Divides with a slash first: the number of requests comes out as a float."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "memory // (token * context)": "memory / token // context",
    },
}
