"""Forgets when a page that stays is touched next."""

LOSES = ["bonus_fewest_moves"]
PATCHES = {
    "fewest_moves": {
        "        here[page] = again": "        here.setdefault(page, again)",
    },
}
