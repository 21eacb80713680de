"""Of equal scores the later one stays."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_share": {
        (
            "    order = score.flatten().sort(descending=True, stable=True).indices"
        ): "    order = score.flatten().sort(stable=True).indices.flip(0)",
    },
}
