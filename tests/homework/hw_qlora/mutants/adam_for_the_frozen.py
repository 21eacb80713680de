"""Gives Adam's moments to the frozen weights."""

LOSES = ["test_qlora_bytes"]
PATCHES = {
    "qlora_bytes": {
        "8 * learned": "8 * linear",
    },
}
