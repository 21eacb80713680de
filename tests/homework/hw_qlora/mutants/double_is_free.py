"""Double-quantizes the constants, and forgets the second ones."""

LOSES = ["test_qlora_bytes"]
PATCHES = {
    "qlora_bytes": {
        "8 / 64 + 32 / (64 * 256)": "8 / 64",
    },
}
