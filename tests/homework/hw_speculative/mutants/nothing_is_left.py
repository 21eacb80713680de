"""Divides 0 by 0 where p and q are equal."""

LOSES = ["bonus_verify"]
PATCHES = {
    "verify": {
        " if missing.any() else p[n]": "",
    },
}
