"""Forgets T²."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "kd * temperature**2 *": "kd *",
    },
}
