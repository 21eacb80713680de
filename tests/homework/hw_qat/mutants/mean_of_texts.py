"""Averages in each text first, so that a short text's tokens weigh more."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "return -(p * log_p_hat).sum(-1).mean()": (
            "each = torch.zeros(real.shape)\n"
            "    each[real] = -(p * log_p_hat).sum(-1)\n"
            "    count = real.sum(1)\n"
            "    return (each.sum(1) / count.clamp(min=1))[count > "
            "0].mean()"
        ),
    },
}
