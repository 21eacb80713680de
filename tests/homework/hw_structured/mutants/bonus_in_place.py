"""Damps its caller's H."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "gentle_refit": {
        "    own = H[kept][:, kept]\n": (
            "    H.diagonal().mul_(1.5)\n    own = H[kept][:, kept]\n"
        ),
    },
}
