"""Divides by the first adapter's rank for all."""

LOSES = ["test_serve"]
PATCHES = {
    "serve": {
        "len(a)": "len(adapters[0][0])",
    },
}
