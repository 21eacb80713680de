"""Keeps a page that is never touched again."""

LOSES = ["bonus_fewest_moves"]
PATCHES = {
    "fewest_moves": {
        "seen.get(touches[at], len(touches))": "seen.get(touches[at], -1)",
    },
}
