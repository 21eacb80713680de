"""Leaves padding out of the sum, and divides by all places."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "+ ce * gold).mean()": "+ ce * gold).sum() / keep.numel()",
    },
}
