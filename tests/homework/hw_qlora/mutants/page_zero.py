"""Takes page 0 for no page."""

LOSES = ["test_touch"]
PATCHES = {
    "touch": {
        "if p != page]": "if p and p != page]",
    },
}
