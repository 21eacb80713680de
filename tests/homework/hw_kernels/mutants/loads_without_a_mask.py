"""Loads bytes and constants beyond the end of a row, and of the tensor."""

LOSES = ["test_dequantize"]
PATCHES = {
    "dequantize_kernel": {
        "col // 2, mask=inside, other=0": "col // 2",
        "steps + at, mask=inside, other=0": "steps + at",
        "zeros + at, mask=inside, other=0": "zeros + at",
    },
}
