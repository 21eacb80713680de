"""The runs go down the columns."""

LOSES = ["test_masks", "bonus_smollm2"]
PATCHES = {
    "kept_n_of_m": {
        "    runs = score.unflatten(1, (-1, m))": (
            "    if len(score) % m == 0:\n"
            "        return kept_n_of_m(score.T, n, m).T\n"
            "    runs = score.T.reshape(score.shape).unflatten(1, (-1, m))"
        ),
    },
}
