"""Subtracts the teacher's entropy: the same gradient, another number."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "(p * log_p_hat)": "(p * (log_p_hat - teacher[real].log_softmax(-1)))",
    },
}
