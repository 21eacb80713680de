"""Hands the two arguments of the backward pass over in the wrong order."""

LOSES = ["test_qlora", "test_smollm2"]
PATCHES = {
    "qlora_backward": {
        "lora_backward(g, x,": "lora_backward(x, g,",
    },
}
