"""Draws the extra token from the draft's last row."""

LOSES = ["bonus_verify", "bonus_sample"]
PATCHES = {
    "verify": {
        "len(draft), p[-1]": "len(draft), q[-1] if len(draft) else p[-1]",
    },
}
