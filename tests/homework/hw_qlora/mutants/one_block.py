"""Counts the adapters of one block."""

LOSES = ["test_qlora_bytes"]
PATCHES = {
    "qlora_bytes": {
        "learned = layers *": "learned =",
    },
}
