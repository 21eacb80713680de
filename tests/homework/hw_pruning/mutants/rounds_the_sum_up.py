"""Rounds up once, over all arrays of the bitmap."""

LOSES = ["test_bytes"]
PATCHES = {
    "stored_bytes": {
        "-(-rows * cols // 8) + values,": "-(-(rows * cols + k * bits) // 8),",
    },
}
