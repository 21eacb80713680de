"""Leaves the layer as it is."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "prune_layer": {
        "    U = factor_of(H, 0.1).to(w.dtype)\n": (
            "    return w.clone()\n    U = factor_of(H, 0.1).to(w.dtype)\n"
        ),
    },
}
