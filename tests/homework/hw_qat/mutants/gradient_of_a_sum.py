"""Forgets to divide by the tokens."""

LOSES = ["test_distillation_backward"]
PATCHES = {
    "distillation_backward": {
        " / real.sum()": "",
    },
}
