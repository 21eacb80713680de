"""Softens the student alone."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "log_softmax(t / temperature, -1)": "log_softmax(t, -1)",
        "soft_targets(t, temperature)": "soft_targets(t, 1.0)",
    },
}
