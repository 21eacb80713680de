"""Pretends that the codes are a gradient's way around: no W in the backward pass."""

LOSES = ["test_qlora", "test_smollm2"]
PATCHES = {
    "qlora_backward": {
        "double_dequant(frozen)": "0 * double_dequant(frozen)",
    },
}
