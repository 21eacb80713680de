"""Computes the residual in the caller's p."""

LOSES = ["bonus_verify"]
PATCHES = {
    "verify": {
        "(p[n] - q[n]).clamp(": "p[n].sub_(q[n]).clamp_(",
    },
}
