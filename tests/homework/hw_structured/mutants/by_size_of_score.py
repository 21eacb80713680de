"""Takes the size of a score that may be negative."""

LOSES = ["test_kept_in_groups"]
PATCHES = {
    "kept_in_groups": {
        "score.unflatten(0": ("score.abs().unflatten(0"),
    },
}
