"""Turns by the negative angle."""

LOSES = ["test_rotate"]
PATCHES = {
    "rotate": {
        "angles.sin()": "-angles.sin()",
    },
}
