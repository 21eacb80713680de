"""Scales by alpha, and forgets to divide by the rank."""

LOSES = ["test_lora_forward", "test_smollm2"]
PATCHES = {
    "lora_forward": {
        "alpha / len(a) *": "alpha *",
    },
}
