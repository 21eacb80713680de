"""Keeps the dense weight in the dict for the backward pass."""

LOSES = ["test_qlora", "test_smollm2"]
PATCHES = {
    "qlora_forward": {
        "double_dequant(frozen)": ('frozen.setdefault("w", double_dequant(frozen))'),
    },
}
