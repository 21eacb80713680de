"""Each row's bits begin on a byte."""

LOSES = ["test_bytes"]
PATCHES = {
    "stored_bytes": {
        "-(-rows * cols // 8) + values,": "rows * -(-cols // 8) + values,",
    },
}
