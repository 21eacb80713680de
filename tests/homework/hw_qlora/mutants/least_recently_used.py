"""Counts what least recently used does."""

LOSES = ["bonus_fewest_moves"]
PATCHES = {
    "fewest_moves": {
        "        here[page] = again": (
            "        here.pop(page, None)\n"
            "        here[page] = -len(touches) + count * 0"
        ),
        "max(here, key=here.get)": "next(iter(here))",
    },
}
