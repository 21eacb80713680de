"""Draws the guesses at the temperature, and leaves it out of q."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "guess.append(drawn(q[-1]))": """guess.append(drawn(q[-1]))
            q[-1] = draft(text + guess[:-1])[-1].double().softmax(-1)""",
    },
}
