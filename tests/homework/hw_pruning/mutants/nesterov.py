"""Looks ahead, as Nesterov does."""

LOSES = ["test_masked_step"]
PATCHES = {
    "masked_step": {
        "w - rate * velocity": "w - rate * (grad + momentum * velocity)",
    },
}
