"""Forgets to stretch at test time."""

LOSES = ["test_gates_at_test"]
PATCHES = {
    "gates_at_test": {
        ("(GAMMA + (ZETA - GAMMA) * torch.sigmoid(log_alpha)).clamp(0, 1)"): (
            "torch.sigmoid(log_alpha)"
        ),
    },
}
