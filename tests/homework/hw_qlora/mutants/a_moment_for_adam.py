"""Gives Adam one moment."""

LOSES = ["test_full_bytes", "test_qlora_bytes"]
PATCHES = {
    "full_bytes": {
        "8 * weights": "4 * weights",
    },
    "qlora_bytes": {
        "8 * learned": "4 * learned",
    },
}
