"""Forgets the logarithm of the gold part."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "gold = -log_softmax(s, -1)": "gold = -s.softmax(-1)",
    },
}
