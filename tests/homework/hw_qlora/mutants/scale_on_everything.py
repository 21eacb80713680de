"""Scales the frozen product too."""

LOSES = ["test_lora_forward", "test_smollm2"]
PATCHES = {
    "lora_forward": {
        ("x @ w.T + alpha / len(a) * (x @ a.T @ b.T)"): (
            "alpha / len(a) * (x @ w.T + x @ a.T @ b.T)"
        ),
    },
}
