"""Begins with the number 0.0, which the compiler will not make a tile."""

LOSES = ["bonus_fast"]
PATCHES = {
    "fast": {
        "tl.zeros((ROWS, 16), tl.float32)": "0.0",
    },
}
