"""Accepts a token that the target never says where u is 0."""

LOSES = ["bonus_verify"]
PATCHES = {
    "verify": {
        "< p[n, token]": "<= p[n, token]",
    },
}
