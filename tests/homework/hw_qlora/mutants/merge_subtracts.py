"""Takes the update away."""

LOSES = ["test_merged"]
PATCHES = {
    "merged": {
        "w + ": "w - ",
    },
}
