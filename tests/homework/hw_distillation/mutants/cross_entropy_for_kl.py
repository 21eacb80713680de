"""Takes -Σ p log q: too much by the teacher's entropy."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "(log_p - log_q)": "-log_q",
    },
}
