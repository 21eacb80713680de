"""Counts the constants in 32 bits always."""

LOSES = ["test_qlora_bytes"]
PATCHES = {
    "qlora_bytes": {
        " if double else 32 / 64": "",
        "8 / 64 + 32 / (64 * 256)": "32 / 64",
    },
}
