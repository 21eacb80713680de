"""Counts the places by all of the mask: the first token is nobody's."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "+ ce * gold).mean()": "+ ce * gold).sum() / counts.sum()",
    },
}
