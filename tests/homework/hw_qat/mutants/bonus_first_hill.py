"""Stops where the gain falls for the first time."""

LOSES = ["bonus_best_ternary"]
PATCHES = {
    "best_ternary": {
        "k = int((sums.square() / count).argmax()) + 1": (
            "gain = sums.square() / count\n"
            "    falls = (gain[1:] < gain[:-1]).nonzero()\n"
            "    k = int(falls[0]) + 1 if len(falls) else len(w)"
        ),
    },
}
