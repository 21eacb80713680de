"""Divides, and returns floats."""

LOSES = ["test_bytes"]
PATCHES = {
    "stored_bytes": {
        "-(-rows * cols * bits // 8)": "rows * cols * bits / 8",
    },
}
