"""Masks the weights first, and steps then."""

LOSES = ["test_masked_step"]
PATCHES = {
    "masked_step": {
        "torch.where(kept, w - rate * velocity, 0)": (
            "torch.where(kept, w, 0) - rate * velocity"
        ),
        "torch.where(kept, momentum * velocity + grad, 0)": (
            "momentum * velocity + grad"
        ),
    },
}
