"""Serves one request, even where it cannot."""

LOSES = ["bonus_largest_batch"]
PATCHES = {
    "largest_batch": {
        "batch = 0": "batch = 1",
    },
}
