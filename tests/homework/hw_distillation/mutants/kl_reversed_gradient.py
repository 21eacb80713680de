"""Takes the gradient of KL(q ‖ p)."""

LOSES = ["test_kd_gradient", "test_train_student"]
PATCHES = {
    "kd_gradient": {
        "soft = temperature * (q - p)": (
            "slope = q.clamp(min=1e-30).log() - p.clamp(min=1e-30).log()\n"
            "    soft = temperature * q * (slope - (q * slope).sum(-1, "
            "keepdim=True))"
        ),
    },
}
