"""Multiplies by the mask: 0 times NaN is NaN."""

LOSES = ["test_distillation_backward", "test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        (
            "    p = teacher[real].softmax(-1)\n"
            "    log_p_hat = student[real].log_softmax(-1)\n"
            "    return -(p * log_p_hat).sum(-1).mean()"
        ): (
            "    each = -(teacher.softmax(-1) * "
            "student.log_softmax(-1)).sum(-1)\n"
            "    return (each * real).sum() / real.sum()"
        ),
    },
    "distillation_backward": {
        ("    gradient[real] = apart / real.sum()\n    return gradient"): (
            "    apart = (student.softmax(-1) - teacher.softmax(-1)) * "
            "real[..., None]\n"
            "    return apart / real.sum()"
        ),
    },
}
