"""Masks the gradient alone: momentum revives what was dropped."""

LOSES = ["test_masked_step"]
PATCHES = {
    "masked_step": {
        "torch.where(kept, momentum * velocity + grad, 0)": (
            "momentum * velocity + torch.where(kept, grad, 0)"
        ),
        "torch.where(kept, w - rate * velocity, 0), velocity": (
            "torch.where(kept, w, 0) - rate * velocity, velocity"
        ),
    },
}
