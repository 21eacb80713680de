"""Drops all that is at most the threshold: ties go together."""

LOSES = ["test_masks"]
PATCHES = {
    "kept_share": {
        (
            "    order = score.flatten().sort(descending=True, "
            "stable=True).indices\n"
            "    mask = torch.zeros(score.numel(), dtype=torch.bool)\n"
            "    mask[order[: score.numel() - dropped]] = True\n"
            "    return mask.view(score.shape)"
        ): (
            "    if dropped == 0:\n"
            "        return torch.ones_like(score, dtype=torch.bool)\n"
            "    return score > score.flatten().sort().values[dropped - 1]"
        ),
    },
}
