"""Rounds by the mean, the rule of thumb of exercise 4."""

LOSES = ["bonus_best_ternary"]
PATCHES = {
    "best_ternary": {
        "k = int((sums.square() / count).argmax()) + 1": (
            "half = size.mean() / 2\n    k = max(1, int((size > half).sum()))"
        ),
    },
}
