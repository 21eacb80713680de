"""Normalizes the gradients of each example, and takes the mean then."""

LOSES = ["test_head_importance"]
PATCHES = {
    "head_importance": {
        (
            "    norm = importance.norm(dim=1, keepdim=True)\n"
            "    return importance / torch.where(norm > 0, norm, 1)"
        ): (
            "    sizes = gradients.abs()\n"
            "    norm = sizes.norm(dim=2, keepdim=True)\n"
            "    return (sizes / torch.where(norm > 0, norm, "
            "1)).mean(0)"
        ),
    },
}
