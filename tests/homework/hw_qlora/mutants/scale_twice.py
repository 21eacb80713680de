"""Scales what comes back to X twice."""

LOSES = ["test_lora_backward", "test_smollm2"]
PATCHES = {
    "lora_backward": {
        "back @ a,": "s * back @ a,",
    },
}
