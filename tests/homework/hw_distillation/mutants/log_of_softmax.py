"""Takes the logarithm of a softmax that underflows."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "log_softmax(s / temperature, -1)": "soft_targets(s, temperature).log()",
    },
}
