"""Sends out who is needed next."""

LOSES = ["bonus_fewest_moves"]
PATCHES = {
    "fewest_moves": {
        "max(here": "min(here",
    },
}
