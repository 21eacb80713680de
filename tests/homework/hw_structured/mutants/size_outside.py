"""Takes the mean first, and its size then: what helps here and harms there cancels."""

LOSES = ["test_head_importance"]
PATCHES = {
    "head_importance": {
        "gradients.abs().mean(0)": ("gradients.mean(0).abs()"),
    },
}
