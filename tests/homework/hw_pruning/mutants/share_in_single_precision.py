"""Compares scores in single precision, where some become equal."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_share": {
        "score.flatten().sort(": "score.float().flatten().sort(",
    },
}
