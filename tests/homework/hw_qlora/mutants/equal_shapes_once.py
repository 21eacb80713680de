"""Counts products of one shape once."""

LOSES = ["test_qlora_bytes"]
PATCHES = {
    "qlora_bytes": {
        ("sum(n * m for n, m in products)"): ("sum(n * m for n, m in {*products})"),
    },
}
