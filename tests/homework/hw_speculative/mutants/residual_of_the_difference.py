"""Draws from |p - q| after a refusal."""

LOSES = ["bonus_verify", "bonus_sample"]
PATCHES = {
    "verify": {
        ".clamp(min=0)": ".abs()",
    },
}
