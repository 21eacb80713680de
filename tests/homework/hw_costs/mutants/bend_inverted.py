"""Divides the difference by the weights."""

LOSES = ["test_turning_tokens"]
PATCHES = {
    "turning_tokens": {
        "weights / (computing - moving)": "(computing - moving) / weights",
    },
}
