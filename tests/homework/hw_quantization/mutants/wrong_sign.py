"""Adds the error to the columns that are left: it doubles what it should cancel."""

LOSES = ["test_round_block"]
PATCHES = {
    "round_block": {
        "w[:, j + 1 :] -=": "w[:, j + 1 :] +=",
    },
}
