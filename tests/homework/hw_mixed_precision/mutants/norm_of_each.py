"""Clips each tensor by its own norm."""

LOSES = ["test_mixed_step", "test_smollm2"]
PATCHES = {
    "mixed_step": {
        "rate * (factor * u)": "rate * u * (clip / max(clip, u.norm().item()))",
    },
}
