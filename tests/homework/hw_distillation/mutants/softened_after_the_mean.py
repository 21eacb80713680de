"""Averages at T = 1 and softens the mean."""

LOSES = ["test_ensemble_targets"]
PATCHES = {
    "ensemble_targets": {
        "soft_targets(logits, temperature).mean(0)": (
            "soft_targets(logits.softmax(-1).mean(0).log(), temperature)"
        ),
    },
}
