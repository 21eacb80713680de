"""Shares a second constant among 256 weights, not 256 constants."""

LOSES = ["test_qlora_bytes"]
PATCHES = {
    "qlora_bytes": {
        "(64 * 256)": "256",
    },
}
