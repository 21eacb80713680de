"""Returns the gradients as A, B, X."""

LOSES = ["test_lora_backward", "test_smollm2"]
PATCHES = {
    "lora_backward": {
        ("return g @ w + back @ a, back.T @ x, s * g.T @ (x @ a.T)"): (
            "return back.T @ x, s * g.T @ (x @ a.T), g @ w + back @ a"
        ),
    },
}
