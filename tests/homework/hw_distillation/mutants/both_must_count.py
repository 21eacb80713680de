"""Wants the token read to count, too: the prompt's last place is lost."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "counts[:, 1:].bool()": "counts[:, 1:].bool() & counts[:, :-1].bool()",
    },
}
