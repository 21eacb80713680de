"""Forgets 1 - β before the slope."""

LOSES = ["bonus_divergence_gradient"]
PATCHES = {
    "divergence_gradient": {
        "(1 - beta) * (log_q": "(log_q",
    },
}
