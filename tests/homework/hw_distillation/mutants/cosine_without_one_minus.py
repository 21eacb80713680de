"""Rewards states that point away."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        "1 - cosine": "cosine",
    },
}
