"""Divides the caller's logits."""

LOSES = [
    "test_soft_targets",
    "test_ensemble_targets",
    "test_kd_gradient",
    "test_mutual_gradients",
]
PATCHES = {
    "soft_targets": {
        "(logits / temperature)": "logits.div_(temperature)",
    },
}
