"""Forgets that the caches must fit."""

LOSES = ["bonus_largest_batch"]
PATCHES = {
    "largest_batch": {
        'weights + batch * cache <= machine["memory"]': 'weights <= machine["memory"]',
    },
}
