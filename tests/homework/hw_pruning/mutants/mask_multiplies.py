"""Multiplies by the mask: infinity times 0 is NaN."""

LOSES = ["test_masked_step"]
PATCHES = {
    "masked_step": {
        "torch.where(kept, momentum * velocity + grad, 0)": (
            "(momentum * velocity + grad) * kept"
        ),
        "torch.where(kept, w - rate * velocity, 0)": "(w - rate * velocity) * kept",
    },
}
