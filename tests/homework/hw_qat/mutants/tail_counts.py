"""Lets the tail count where it was not cleaned."""

LOSES = ["test_xnor_product"]
PATCHES = {
    "xnor_product": {
        ("    if n % 64:\n        different[..., -1] &= (1 << n % 64) - 1\n"): "",
    },
}
