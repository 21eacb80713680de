"""Takes a small rest of p - q for none, and draws from p."""

LOSES = ["bonus_verify"]
PATCHES = {
    "verify": {
        "if missing.any()": "if missing.sum() > 0.01",
    },
}
