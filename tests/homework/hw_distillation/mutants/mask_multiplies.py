"""Multiplies by the mask: NaN stays NaN."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        (
            "    s, t, y = student[:, :-1][keep], teacher[:, :-1][keep], "
            "tokens[:, 1:][keep]"
        ): (
            "    s, t = student[:, :-1].flatten(0, 1), teacher[:, "
            ":-1].flatten(0, 1)\n"
            "    y = tokens[:, 1:].flatten().clamp(0, s.shape[1] - 1)\n"
            "    keep = keep.flatten()"
        ),
        "(kd * temperature**2 * soft + ce * gold).mean()": (
            "((kd * temperature**2 * soft + ce * gold) * keep).sum() / keep.sum()"
        ),
    },
}
