"""Computes for one request, whatever the batch."""

LOSES = ["bonus_largest_batch"]
PATCHES = {
    "largest_batch": {
        '["parameters"] * batch': '["parameters"]',
    },
}
