"""Returns the first batch that is too large."""

LOSES = ["bonus_largest_batch"]
PATCHES = {
    "largest_batch": {
        "return batch, batch": "return batch + 1, batch",
    },
}
