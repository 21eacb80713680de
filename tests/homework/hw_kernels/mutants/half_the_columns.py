"""Multiplies the low halves alone."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        " + high * odd[None, :].to(tl.float32)": "",
    },
}
