"""Rounds ŵ to float16 on the way."""

LOSES = ["test_product"]
PATCHES = {
    "product_kernel": {
        "low * even": "(step[:, None] * low).to(tl.float32) * even",
        "high * odd": "(step[:, None] * high).to(tl.float32) * odd",
        "step.to(tl.float32) * tl.sum": "tl.sum",
    },
}
