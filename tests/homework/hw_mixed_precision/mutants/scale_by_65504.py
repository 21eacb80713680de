"""Keeps below 65504 what would be rounded to it."""

LOSES = ["test_static_scale"]
PATCHES = {
    "static_scale": {
        ">= 65520": "> 65504",
    },
}
