"""Masks the loads and does not say what stands there instead."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "mask=first, other=0": "mask=first",
        "mask=second, other=0": "mask=second",
    },
}
