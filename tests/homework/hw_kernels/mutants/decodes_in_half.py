"""Multiplies the step in float16: ŵ needs up to 16 bits."""

LOSES = ["test_dequantize"]
PATCHES = {
    "dequantize_kernel": {
        "mask=inside, other=0).to(tl.float32)": "mask=inside, other=0)",
    },
}
