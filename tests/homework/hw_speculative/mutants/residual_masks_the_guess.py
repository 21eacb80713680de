"""Draws from p without the refused token after a refusal."""

LOSES = ["bonus_verify", "bonus_sample"]
PATCHES = {
    "verify": {
        "missing = (p[n] - q[n]).clamp(min=0)": """missing = p[n].clone()
        missing[token] = 0""",
    },
}
