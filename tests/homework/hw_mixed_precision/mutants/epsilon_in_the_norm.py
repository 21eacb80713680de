"""Adds 1e-6 to the norm, as torch does: too much for the gradient of a large batch."""

LOSES = ["test_mixed_step", "test_smollm2"]
PATCHES = {
    "mixed_step": {
        "clip / norm if": "clip / (norm + 1e-6) if",
    },
}
