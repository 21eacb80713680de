"""Writes into the caller's tokens."""

LOSES = ["test_distillation_loss", "test_triple_loss"]
PATCHES = {
    "distillation_loss": {
        "    keep = ": """    tokens[~counts] = -100
    keep = """,
    },
}
