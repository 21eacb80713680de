"""Divides by S in fp16, where the gradient vanishes again."""

LOSES = ["test_mixed_step", "test_smollm2"]
PATCHES = {
    "mixed_step": {
        "g.float() / scale": "(g / scale).float()",
    },
}
