"""Softens the gold part."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "log_softmax(s, -1)": "log_softmax(s / temperature, -1)",
    },
}
