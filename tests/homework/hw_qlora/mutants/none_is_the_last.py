"""Gives who wants none the last adapter."""

LOSES = ["test_serve"]
PATCHES = {
    "serve": {
        "if wanted == number": (
            "if (len(adapters) - 1 if wanted is None else wanted) == number"
        ),
    },
}
