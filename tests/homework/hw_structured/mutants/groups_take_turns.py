"""Reads every so-many-th head as a group."""

LOSES = ["test_kept_in_groups"]
PATCHES = {
    "kept_in_groups": {
        "score.unflatten(0, (groups, -1))": ("score.unflatten(0, (-1, groups)).T"),
        "best + first": ("best * groups + torch.arange(groups)[:, None]"),
    },
}
