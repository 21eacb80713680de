"""Forgets to cut: the gate leaves 0 to 1."""

LOSES = ["test_sample_gates"]
PATCHES = {
    "sample_gates": {
        ".clamp(0, 1)": (""),
    },
}
