"""Lets PyTorch add the parts."""

LOSES = ["test_split_product"]
PATCHES = {
    "split_product": {
        "return y": "return parts.sum(0)",
    },
}
