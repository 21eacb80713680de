"""Splits nothing: one long sum."""

LOSES = ["test_split_product"]
PATCHES = {
    "split_product": {
        "triton.cdiv(groups, splits)": "groups",
    },
}
