"""Counts r n m numbers for an adapter."""

LOSES = ["test_qlora_bytes"]
PATCHES = {
    "qlora_bytes": {
        "(n + m)": "(n * m)",
    },
}
