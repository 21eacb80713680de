"""Counts on after an infinity, as if nothing had been."""

LOSES = ["test_next_scale", "test_smollm2"]
PATCHES = {
    "next_scale": {
        "max(scale / 2, lowest), 0": "max(scale / 2, lowest), streak",
    },
}
