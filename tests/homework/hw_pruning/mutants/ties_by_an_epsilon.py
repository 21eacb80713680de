"""Breaks ties by a small slope: too much for some scores, nothing for others."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_share": {
        ("    order = score.flatten().sort(descending=True, stable=True).indices"): (
            "    slope = 1e-6 * torch.arange(score.numel()).to(score)\n"
            "    order = (score.flatten() - slope).argsort(descending=True)"
        ),
    },
}
