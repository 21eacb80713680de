"""Brings in what is there."""

LOSES = ["test_touch"]
PATCHES = {
    "touch": {
        "if page not in here": "if True",
    },
}
