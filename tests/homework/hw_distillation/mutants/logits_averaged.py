"""Averages the teachers' logits."""

LOSES = ["test_ensemble_targets"]
PATCHES = {
    "ensemble_targets": {
        "soft_targets(logits, temperature).mean(0)": (
            "soft_targets(logits.mean(0), temperature)"
        ),
    },
}
