"""Counts each page once."""

LOSES = ["bonus_fewest_moves"]
PATCHES = {
    "fewest_moves": {
        "return count": "return len({*touches})",
    },
}
