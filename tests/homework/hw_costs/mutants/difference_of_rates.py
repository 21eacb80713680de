"""Divides by a difference of rates, not of prices."""

LOSES = ["test_tokens_to_pay_back"]
PATCHES = {
    "tokens_to_pay_back": {
        "(second / before - second / after)": "(second / (after - before))",
    },
}
