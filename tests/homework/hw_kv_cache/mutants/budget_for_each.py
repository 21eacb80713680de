"""Gives the whole budget to every reader."""

LOSES = ["test_pieces"]
PATCHES = {
    "pieces": {
        "            budget -= taken[name]\n": "",
    },
}
