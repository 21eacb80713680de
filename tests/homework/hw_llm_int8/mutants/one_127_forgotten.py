"""Divides by 127 once, and there are two sides."""

LOSES = ["test_rescale"]
PATCHES = {
    "rescale": {
        "127**2": "127",
    },
}
