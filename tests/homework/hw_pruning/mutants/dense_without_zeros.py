"""Dense, without its zeros."""

LOSES = ["test_bytes"]
PATCHES = {
    "stored_bytes": {
        "-(-rows * cols * bits // 8)": "values",
    },
}
