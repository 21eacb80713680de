"""Adds places up."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "+ ce * gold).mean()": "+ ce * gold).sum()",
    },
}
