"""Multiplies int32 by float16: Triton makes that float16."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "even[None, :].to(tl.float32)": "even[None, :]",
        "odd[None, :].to(tl.float32)": "odd[None, :]",
    },
}
