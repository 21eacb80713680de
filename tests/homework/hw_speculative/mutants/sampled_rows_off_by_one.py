"""Reads the target's rows one place early."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "[len(text) - 1 :]": "[max(len(text) - 2, 0) :][: len(guess) + 1]",
    },
}
