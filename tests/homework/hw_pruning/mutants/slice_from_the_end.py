"""The last k of an ascending sort: with k = 0 these are all."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_share": {
        ("    order = score.flatten().sort(descending=True, stable=True).indices"): (
            "    n = score.numel()\n"
            "    order = n - 1 - score.flatten().flip(0).argsort(stable=True)"
        ),
        "order[: score.numel() - dropped]": "order[-(n - dropped) :]",
    },
}
