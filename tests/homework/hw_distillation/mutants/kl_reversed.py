"""Takes KL(q ‖ p)."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "(soft_targets(t, temperature) * (log_p - log_q))": (
            "(log_q.exp() * (log_q - log_p))"
        ),
    },
}
