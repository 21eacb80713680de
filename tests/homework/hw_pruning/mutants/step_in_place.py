"""Changes the caller's weights."""

LOSES = ["test_masked_step"]
PATCHES = {
    "masked_step": {
        "    return torch.where(kept, w - rate * velocity, 0), velocity": (
            "    w -= rate * velocity\n    return w.masked_fill_(~kept, 0), velocity"
        ),
    },
}
