"""Gives a request whole blocks only as far as its tokens fill them."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "-(-length // block)": "length // block",
    },
}
