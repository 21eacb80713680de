"""Compares every place with the same random number."""

LOSES = ["bonus_verify", "bonus_sample"]
PATCHES = {
    "verify": {
        "u[n] *": "u[0] *",
    },
}
