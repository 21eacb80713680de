"""Launches cols // BLOCK programs a row: the rest has none."""

LOSES = ["test_dequantize"]
PATCHES = {
    "dequantize": {
        "triton.cdiv(cols, block)": "cols // block",
    },
}
