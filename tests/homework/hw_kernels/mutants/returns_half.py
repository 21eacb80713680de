"""Returns float16."""

LOSES = ["test_dequantize"]
PATCHES = {
    "dequantize": {
        "dtype=torch.float32": "dtype=torch.float16",
    },
}
