"""Loads sixteen tokens where fewer came."""

LOSES = ["bonus_fast"]
PATCHES = {
    "fast": {
        "token[None, :] < tokens": "token[None, :] < 16",
    },
}
