"""Draws no token where all guesses are accepted: only the passes tell."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "+= [*guess[:n],": "+= guess[:n] if 0 < n == len(guess) else [*guess[:n],",
    },
}
