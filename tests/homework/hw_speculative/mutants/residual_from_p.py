"""Draws from p after a refusal."""

LOSES = ["bonus_verify", "bonus_sample"]
PATCHES = {
    "verify": {
        "return n, missing / missing.sum() if missing.any() else": "return n,",
    },
}
