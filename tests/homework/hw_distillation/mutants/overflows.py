"""Takes powers of the logits as they are."""

LOSES = ["test_soft_targets", "test_kd_gradient", "test_distillation_loss"]
PATCHES = {
    "soft_targets": {
        "(logits / temperature).softmax(-1)": (
            "(p := (logits / temperature).exp()) / p.sum(-1, keepdim=True)"
        ),
    },
}
