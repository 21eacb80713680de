"""Leaves the columns as they were."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "gentle_refit": {
        "    own = H[kept]": ("    return w[:, kept].clone()\n    own = H[kept]"),
    },
}
