"""Turns what is not finite to 0, kept or not."""

LOSES = ["test_masked_step"]
PATCHES = {
    "masked_step": {
        "    velocity = torch.where(kept, momentum * velocity + grad, 0)": (
            "    grad = grad.nan_to_num(0, 0, 0)\n"
            "    velocity = torch.where(kept, momentum * velocity + grad, 0)"
        ),
    },
}
