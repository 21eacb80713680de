"""Guesses the likeliest token, and says that it was drawn."""

LOSES = ["bonus_sample"]
PATCHES = {
    "sample": {
        "guess.append(drawn(q[-1]))": "guess.append(int(q[-1].argmax()))",
    },
}
