"""Takes the mean over the tokens, which is in G already."""

LOSES = ["test_lora_backward", "test_smollm2"]
PATCHES = {
    "lora_backward": {
        "back.T @ x": "back.T @ x / max(len(x), 1)",
        "(x @ a.T)": "(x @ a.T) / max(len(x), 1)",
    },
}
