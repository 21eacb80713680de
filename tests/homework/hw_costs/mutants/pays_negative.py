"""Pays after fewer than no tokens where nothing is saved."""

LOSES = ["test_tokens_to_pay_back"]
PATCHES = {
    "tokens_to_pay_back": {
        "after <= before": "after == before",
    },
}
