"""Takes the logarithm of a softmax that has become 0."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "log_softmax(-1)": "softmax(-1).log()",
    },
}
