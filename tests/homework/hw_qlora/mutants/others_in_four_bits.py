"""Quantizes embeddings and head as well."""

LOSES = ["test_qlora_bytes"]
PATCHES = {
    "qlora_bytes": {
        "2 * others": "others / 2",
    },
}
