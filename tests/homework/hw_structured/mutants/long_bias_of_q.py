"""Forgets the bias of q."""

LOSES = ["test_cut_heads"]
PATCHES = {
    "cut_heads": {
        '("q", "q_bias")': ('("q",)'),
    },
}
