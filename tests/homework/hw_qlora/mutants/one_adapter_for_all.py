"""Adds each adapter to every token."""

LOSES = ["test_serve"]
PATCHES = {
    "serve": {
        "if wanted == number": "if wanted is not None",
    },
}
