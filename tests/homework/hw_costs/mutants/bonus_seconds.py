"""Takes the limit's milliseconds for seconds."""

LOSES = ["bonus_largest_batch"]
PATCHES = {
    "largest_batch": {
        "limit_ms / 1000": "limit_ms",
    },
}
