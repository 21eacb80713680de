"""Gives A the gradient that B = 1 would have."""

LOSES = ["test_lora_backward", "test_smollm2"]
PATCHES = {
    "lora_backward": {
        "back.T @ x": (
            "(back if b.any() else s * g.sum(1, keepdim=True).expand(-1, len(a))).T @ x"
        ),
    },
}
