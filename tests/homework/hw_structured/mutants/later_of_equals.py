"""Of equal heads the later one stays."""

LOSES = ["test_kept_in_groups"]
PATCHES = {
    "kept_in_groups": {
        ("runs.sort(dim=1, descending=True, stable=True).indices[:, :count]"): (
            "runs.sort(dim=1, stable=True).indices.flip(1)[:, :count]"
        ),
    },
}
