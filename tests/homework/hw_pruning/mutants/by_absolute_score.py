"""Takes the size of the score: a score below zero is a low one."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_share": {
        "score.flatten().sort(": "score.abs().flatten().sort(",
    },
}
