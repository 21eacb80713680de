"""Where nothing is left of p - q, draws from all tokens alike and not from p."""

LOSES = ["bonus_verify"]
PATCHES = {
    "verify": {
        "else p[n]": "else torch.full_like(missing, 1 / len(missing))",
    },
}
