"""Leaves the target at temperature 1."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "[len(text) - 1 :].double() / temperature)": "[len(text) - 1 :].double())",
    },
}
