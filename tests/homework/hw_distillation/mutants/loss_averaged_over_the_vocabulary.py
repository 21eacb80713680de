"""Takes the mean over places and tokens."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "* (log_p - log_q)).sum(-1)": "* (log_p - log_q)).mean(-1)",
    },
}
