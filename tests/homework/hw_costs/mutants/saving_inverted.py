"""Divides the saving by what it cost."""

LOSES = ["test_tokens_to_pay_back"]
PATCHES = {
    "tokens_to_pay_back": {
        "one_time / (second / before - second / after)": (
            "(second / before - second / after) / one_time"
        ),
    },
}
