"""Merges BA without its scale."""

LOSES = ["test_merged"]
PATCHES = {
    "merged": {
        "alpha / len(a) * ": "",
    },
}
