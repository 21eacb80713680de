"""Divides probabilities, not logits."""

LOSES = ["test_soft_targets"]
PATCHES = {
    "soft_targets": {
        "(logits / temperature).softmax(-1)": "logits.softmax(-1) / temperature",
    },
}
