"""Averages logarithms of probabilities."""

LOSES = ["test_ensemble_targets"]
PATCHES = {
    "ensemble_targets": {
        "soft_targets(logits, temperature).mean(0)": (
            "soft_targets((logits / temperature).log_softmax(-1).mean(0), 1.0)"
        ),
    },
}
