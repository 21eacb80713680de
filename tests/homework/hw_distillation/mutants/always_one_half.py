"""Takes JSD with ½, whatever β is."""

LOSES = ["bonus_divergence_gradient"]
PATCHES = {
    "divergence_gradient": {
        "(1 - beta) * (log_q - torch": "0.5 * (log_q - torch",
        "math.log(beta), log_q + math.log1p(-beta)": (
            "math.log(0.5), log_q + math.log(0.5)"
        ),
    },
}
