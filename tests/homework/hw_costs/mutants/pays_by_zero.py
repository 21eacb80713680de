"""Divides by 0 where both are as fast."""

LOSES = ["test_tokens_to_pay_back"]
PATCHES = {
    "tokens_to_pay_back": {
        "after <= before": "after < before",
    },
}
