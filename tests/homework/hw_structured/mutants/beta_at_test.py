"""Divides by β at test time too."""

LOSES = ["test_gates_at_test"]
PATCHES = {
    "gates_at_test": {
        "torch.sigmoid(log_alpha)": ("torch.sigmoid(log_alpha / BETA)"),
    },
}
