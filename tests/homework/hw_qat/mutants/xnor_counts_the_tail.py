"""Counts equal bits: each zero of both tails is one."""

LOSES = ["test_xnor_product"]
PATCHES = {
    "xnor_product": {
        "n - 2 * popcount(different).sum(-1)": "2 * popcount(~different).sum(-1) - n",
    },
}
