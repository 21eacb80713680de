"""Exchanges β and 1 - β in the mixture."""

LOSES = ["bonus_divergence_gradient"]
PATCHES = {
    "divergence_gradient": {
        "math.log(beta), log_q + math.log1p(-beta)": (
            "math.log1p(-beta), log_q + math.log(beta)"
        ),
    },
}
