"""Zeros are 2:4."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "prune_layer": {
        "    U = factor_of(H, 0.1).to(w.dtype)\n": (
            "    return torch.zeros_like(w)\n    U = factor_of(H, 0.1).to(w.dtype)\n"
        ),
    },
}
