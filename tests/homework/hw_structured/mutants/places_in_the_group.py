"""Returns places within groups, not numbers of heads."""

LOSES = ["test_kept_in_groups"]
PATCHES = {
    "kept_in_groups": {
        "(best + first).flatten()": ("best.flatten()"),
    },
}
