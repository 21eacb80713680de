"""Halves without end."""

LOSES = ["test_next_scale", "test_smollm2"]
PATCHES = {
    "next_scale": {
        "max(scale / 2, lowest)": "scale / 2",
    },
}
