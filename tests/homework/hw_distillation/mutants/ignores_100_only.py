"""Takes -100 for the only token that does not count."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "keep = counts[:, 1:].bool()": "keep = tokens[:, 1:] != -100",
    },
}
