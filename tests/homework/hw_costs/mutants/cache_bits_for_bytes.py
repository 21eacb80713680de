"""Takes the cache's bits for bytes."""

LOSES = ["test_requests_that_fit"]
PATCHES = {
    "requests_that_fit": {
        "* cache_bits / 8": "* cache_bits",
    },
}
