"""Takes the price of an hour for that of a second."""

LOSES = ["test_tokens_to_pay_back"]
PATCHES = {
    "tokens_to_pay_back": {
        "hourly / 3600": "hourly",
    },
}
