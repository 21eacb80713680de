"""Takes a byte's codes for neighbours, as they are in exercise 2."""

LOSES = ["bonus_fast"]
PATCHES = {
    "fast": {
        "g * 128 + i[:, None]": "g * 128 + 2 * i[:, None]",
        "place + 64": "place + 1",
    },
}
