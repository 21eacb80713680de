"""Forgets that biases of gate and up shrink."""

LOSES = ["test_cut_mlp"]
PATCHES = {
    "cut_mlp": {
        '("gate", "up", "gate_bias", "up_bias")': ('("gate", "up")'),
    },
}
