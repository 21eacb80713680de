"""Turns every row by the positions of the first."""

LOSES = ["test_rotate"]
PATCHES = {
    "rotate": {
        "positions[..., None]": "positions[:1, :, None]",
    },
}
