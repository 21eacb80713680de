"""Masks the weights, and lets the velocity grow."""

LOSES = ["test_masked_step"]
PATCHES = {
    "masked_step": {
        "torch.where(kept, momentum * velocity + grad, 0)": (
            "momentum * velocity + grad"
        ),
    },
}
