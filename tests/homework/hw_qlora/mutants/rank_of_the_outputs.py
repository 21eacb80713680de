"""Divides by the outputs of B, and takes them for the rank."""

LOSES = ["test_serve"]
PATCHES = {
    "serve": {
        "len(a)": "len(b)",
    },
}
