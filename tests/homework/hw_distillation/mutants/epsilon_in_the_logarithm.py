"""Adds 1e-8 before it takes the logarithm."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "log_softmax(s, -1)": "(s.softmax(-1) + 1e-8).log()",
    },
}
