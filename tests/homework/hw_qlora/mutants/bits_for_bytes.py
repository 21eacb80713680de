"""Reports the codes in bits."""

LOSES = ["test_qlora_bytes"]
PATCHES = {
    "qlora_bytes": {
        "linear * 4 / 8": "linear * 4",
    },
}
