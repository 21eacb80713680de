"""Counts the tokens that came, and not where they stand."""

LOSES = ["test_rotate"]
PATCHES = {
    "rotate": {
        "positions[..., None]": "torch.arange(x.shape[1])[None, :, None]",
    },
}
