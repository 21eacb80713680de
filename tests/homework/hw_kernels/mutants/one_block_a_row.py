"""Believes that a row is never longer than a block."""

LOSES = ["test_dequantize"]
PATCHES = {
    "dequantize": {
        "packed.shape[0], 64": "packed.shape[0], 1024",
        "(rows, triton.cdiv(cols, block))": "(rows,)",
    },
}
