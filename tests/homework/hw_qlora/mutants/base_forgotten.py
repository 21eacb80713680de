"""Returns the adapter's product alone."""

LOSES = ["test_lora_forward", "test_smollm2"]
PATCHES = {
    "lora_forward": {
        "x @ w.T + ": "",
    },
}
