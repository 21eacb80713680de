"""Takes each text's mean, and the mean of those."""

LOSES = ["test_distillation_loss"]
PATCHES = {
    "distillation_loss": {
        "    return (kd * temperature**2 * soft + ce * gold).mean()": (
            "    each = kd * temperature**2 * soft + ce * gold\n"
            "    sizes = [size for size in keep.sum(1).tolist() if size]\n"
            "    return sum(part.mean() for part in each.split(sizes)) / "
            "len(sizes)"
        ),
    },
}
