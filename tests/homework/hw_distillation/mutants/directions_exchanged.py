"""Takes β = 0 for KL(q ‖ p)."""

LOSES = ["bonus_divergence_gradient"]
PATCHES = {
    "divergence_gradient": {
        "    log_q = log": """    beta = 1 - beta if beta in (0, 1) else beta
    log_q = log""",
    },
}
