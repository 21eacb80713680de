"""Forgets that probabilities sum to 1."""

LOSES = ["bonus_divergence_gradient"]
PATCHES = {
    "divergence_gradient": {
        "(slope - (q * slope).sum(-1, keepdim=True))": "slope",
    },
}
