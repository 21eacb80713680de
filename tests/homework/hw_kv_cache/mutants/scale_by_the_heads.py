"""Divides the scores by the root of the number of heads."""

LOSES = ["test_attention"]
PATCHES = {
    "attention": {
        "d**0.5": "heads**0.5",
    },
}
