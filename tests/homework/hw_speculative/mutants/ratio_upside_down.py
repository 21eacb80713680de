"""Accepts with probability q / p."""

LOSES = ["bonus_verify", "bonus_sample"]
PATCHES = {
    "verify": {
        "u[n] * q[n, token] < p[n, token]": "u[n] * p[n, token] < q[n, token]",
    },
}
