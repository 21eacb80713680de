"""Chooses the best heads of the layer, whatever their group."""

LOSES = ["test_kept_in_groups"]
PATCHES = {
    "kept_in_groups": {
        ("runs.sort(dim=1, descending=True, stable=True).indices[:, :count]"): (
            "runs.sort(dim=1, descending=True, stable=True).indices[:, "
            ":count]\n"
            "    everywhere = score.sort(descending=True, "
            "stable=True).indices\n"
            "    return everywhere[: groups * count].sort().values"
        ),
    },
}
