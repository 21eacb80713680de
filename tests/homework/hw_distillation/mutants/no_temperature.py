"""Forgets the temperature."""

LOSES = ["test_soft_targets"]
PATCHES = {
    "soft_targets": {
        "(logits / temperature)": "logits",
    },
}
