"""The two largest of each four."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "prune_layer": {
        "    U = factor_of(H, 0.1).to(w.dtype)\n": (
            "    return w * kept_n_of_m(w.abs(), 2, 4)\n"
            "    U = factor_of(H, 0.1).to(w.dtype)\n"
        ),
    },
}
