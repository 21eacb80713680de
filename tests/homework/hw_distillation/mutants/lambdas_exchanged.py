"""Exchanges the two weights."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "kd * temperature**2 * soft + ce * gold": (
            "ce * temperature**2 * soft + kd * gold"
        ),
    },
}
