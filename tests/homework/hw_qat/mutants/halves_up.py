"""Rounds halves up: torch.round goes to the even one."""

LOSES = ["test_fake_quantize", "test_smollm2"]
PATCHES = {
    "fake_quantize": {
        ".round()": ".add(0.5).floor()",
    },
}
