"""Clips gradients that are still S times too large."""

LOSES = ["test_mixed_step", "test_smollm2"]
PATCHES = {
    "mixed_step": {
        "g.float() / scale for g in grads": "g.float() for g in grads",
        "rate * (factor * u)": "rate * (factor * u / scale)",
    },
}
