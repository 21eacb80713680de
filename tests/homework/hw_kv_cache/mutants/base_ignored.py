"""Takes 10,000 for every base."""

LOSES = ["test_rotate"]
PATCHES = {
    "rotate": {
        "base **": "10_000.0 **",
    },
}
