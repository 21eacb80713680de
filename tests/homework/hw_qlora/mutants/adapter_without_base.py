"""Answers with the adapter in place of the base."""

LOSES = ["test_serve"]
PATCHES = {
    "serve": {
        "y[rows] +=": "y[rows] =",
    },
}
