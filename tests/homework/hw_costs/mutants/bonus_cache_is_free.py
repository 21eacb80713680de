"""Reads the weights and forgets the caches."""

LOSES = ["bonus_largest_batch"]
PATCHES = {
    "largest_batch": {
        "(weights + batch * cache) / machine": "weights / machine",
    },
}
