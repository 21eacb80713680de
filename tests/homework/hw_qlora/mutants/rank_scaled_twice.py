"""Divides alpha by the rank before lora_forward does."""

LOSES = ["test_qlora", "test_smollm2"]
PATCHES = {
    "qlora_forward": {
        "a, b, alpha": "a, b, alpha / len(a)",
    },
}
