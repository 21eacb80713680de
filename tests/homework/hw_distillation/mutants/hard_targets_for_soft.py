"""Takes the teacher's likeliest token for its distribution."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        (
            "soft = (soft_targets(t, temperature) * (log_p - log_q)).sum(-1)"
        ): "soft = -log_q.gather(1, t.argmax(-1)[:, None])[:, 0]",
    },
}
