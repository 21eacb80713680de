"""Divides by all tokens, real or not."""

LOSES = ["test_distillation_backward", "test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        ".sum(-1).mean()": ".sum() / real.numel()",
    },
    "distillation_backward": {
        "real.sum()": "real.numel()",
    },
}
