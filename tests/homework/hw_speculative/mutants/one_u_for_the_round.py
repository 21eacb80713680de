"""Draws one u for all guesses of a round."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "n, law = ": """u = u[:1].expand(len(guess))
        n, law = """,
    },
}
