"""Runs the frozen product in 16 bits."""

LOSES = ["test_lora_forward", "test_smollm2"]
PATCHES = {
    "lora_forward": {
        "x @ w.T +": ("(x @ w.T).bfloat16().float() +"),
    },
}
