"""Wanda's two of each four, and nothing moves: one point of two."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "prune_layer": {
        "    U = factor_of(H, 0.1).to(w.dtype)\n": (
            "    return w * kept_n_of_m(w.abs() * H.diagonal().sqrt(), 2, 4)\n"
            "    U = factor_of(H, 0.1).to(w.dtype)\n"
        ),
    },
}
