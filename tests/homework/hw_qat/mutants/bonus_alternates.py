"""Takes turns between t and a, and stops at the first pair that stays."""

LOSES = ["bonus_best_ternary"]
PATCHES = {
    "best_ternary": {
        "k = int((sums.square() / count).argmax()) + 1": (
            "a, k = float(size.mean()), 0\n"
            "    for _ in range(100):\n"
            "        k = max(1, int((size > a / 2).sum()))\n"
            "        a = float(sums[k - 1] / k)"
        ),
    },
}
