"""Lets the target draw alone: nothing is saved."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "range(min(gamma, stop - len(text) - 1))": "range(0)",
    },
}
