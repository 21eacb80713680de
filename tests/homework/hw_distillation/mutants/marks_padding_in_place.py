"""Writes into the caller's tokens."""

LOSES = ['test_distillation_loss']
PATCHES = {
    "distillation_loss": {
        '    keep = ': """    tokens[~counts] = -100
    keep = """,
    },
}
