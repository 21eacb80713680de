"""Takes the mean of all weights for the scale of those that stay."""

LOSES = ["bonus_best_ternary"]
PATCHES = {
    "best_ternary": {
        "sums[k - 1] / k": "size.mean()",
    },
}
