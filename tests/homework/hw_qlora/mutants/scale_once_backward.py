"""Forgets the scale in the gradient of B."""

LOSES = ["test_lora_backward", "test_smollm2"]
PATCHES = {
    "lora_backward": {
        "s * g.T @": "g.T @",
    },
}
