"""Lets low halves meet the odd columns of x."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "low * even[None, :].to(tl.float32)": "low * odd[None, :].to(tl.float32)",
        "high * odd[None, :].to(tl.float32)": "high * even[None, :].to(tl.float32)",
    },
}
