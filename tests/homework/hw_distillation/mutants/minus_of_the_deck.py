"""Forgets the minus, as the slide does."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "gold = -log": "gold = log",
    },
}
