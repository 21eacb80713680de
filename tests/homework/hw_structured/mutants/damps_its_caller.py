"""Adds λ to its caller's H."""

LOSES = ["test_refit_columns", "test_slim_attention"]
PATCHES = {
    "refit_columns": {
        "    own = H[kept][:, kept]\n": (
            "    mean = H.diagonal()[kept].mean()\n"
            "    H[kept, kept] += damping * mean\n"
            "    own, damping = H[kept][:, kept], 0.0\n"
            "    H[kept, kept] -= 0.0\n"
        ),
    },
}
