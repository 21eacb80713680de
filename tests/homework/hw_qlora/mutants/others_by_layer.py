"""Counts embeddings and head once a block."""

LOSES = ["test_qlora_bytes"]
PATCHES = {
    "qlora_bytes": {
        "2 * others": "2 * others * layers",
    },
}
