"""A boolean takes a byte in torch, and so here."""

LOSES = ["test_bytes"]
PATCHES = {
    "stored_bytes": {
        "-(-rows * cols // 8) + values,": "rows * cols + values,",
    },
}
