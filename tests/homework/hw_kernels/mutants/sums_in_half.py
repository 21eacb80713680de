"""Adds the groups in float16, which ends at 65,504."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "tl.zeros((ROWS,), tl.float32)": "tl.zeros((ROWS,), tl.float16)",
        "step.to(tl.float32) *": "(step *",
        "tl.sum(terms, 1)": "tl.sum(terms, 1)).to(tl.float16)",
    },
}
