"""Overlooks an end in the middle of a draft."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "if end in new:": "if new[-1] == end:",
    },
}
