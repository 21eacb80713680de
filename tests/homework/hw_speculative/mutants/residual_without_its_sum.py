"""Does not divide the residual by its sum."""

LOSES = ["bonus_verify"]
PATCHES = {
    "verify": {
        "missing / missing.sum()": "missing",
    },
}
