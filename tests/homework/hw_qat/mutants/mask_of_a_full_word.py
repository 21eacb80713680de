"""Masks a full last word away where 64 divides n."""

LOSES = ["test_xnor_product"]
PATCHES = {
    "xnor_product": {
        "if n % 64:": "if True:",
    },
}
