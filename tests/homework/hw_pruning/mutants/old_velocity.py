"""Moves by the velocity before this gradient."""

LOSES = ["test_masked_step"]
PATCHES = {
    "masked_step": {
        (
            "    velocity = torch.where(kept, momentum * velocity + grad, 0)\n"
            "    return torch.where(kept, w - rate * velocity, 0), velocity"
        ): (
            "    new = torch.where(kept, momentum * velocity + grad, 0)\n"
            "    return torch.where(kept, w - rate * velocity, 0), new"
        ),
    },
}
