"""Stretches small gradients to the bound."""

LOSES = ["test_mixed_step", "test_smollm2"]
PATCHES = {
    "mixed_step": {
        "clip / norm if norm > clip else 1.0": "clip / norm if norm else 1.0",
    },
}
