"""Computes the residual in the caller's p."""

LOSES = ["bonus_verify"]
PATCHES = {
    "verify": {
        "missing = (p[n] - q[n]).clamp(min=0)": "missing = p[n].sub_(q[n]).clamp_(min=0)",
    },
}
