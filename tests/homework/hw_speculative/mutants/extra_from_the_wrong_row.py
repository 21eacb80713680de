"""Draws the extra token from the row of the last guess."""

LOSES = ["bonus_verify", "bonus_sample"]
PATCHES = {
    "verify": {
        "len(draft), p[-1]": "len(draft), p[max(len(draft) - 1, 0)]",
    },
}
