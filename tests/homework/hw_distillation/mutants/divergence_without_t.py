"""Forgets that T² is there."""

LOSES = ["bonus_divergence_gradient"]
PATCHES = {
    "divergence_gradient": {
        "temperature * q * (slope": "q / temperature * (slope",
    },
}
