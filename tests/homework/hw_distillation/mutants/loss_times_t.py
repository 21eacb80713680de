"""Takes T for T²."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "temperature**2": "temperature",
    },
}
