"""Drops one of each four."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "prune_layer": {
        "kept_n_of_m(score, 2, 4)": "kept_n_of_m(score, 3, 4)",
    },
}
