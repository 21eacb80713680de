"""Returns the gradients of A and B transposed."""

LOSES = ["test_lora_backward", "test_smollm2"]
PATCHES = {
    "lora_backward": {
        "back.T @ x": "x.T @ back",
        "s * g.T @ (x @ a.T)": "s * (x @ a.T).T @ g",
    },
}
