"""Pulls with a tenth of the strength: one point of two."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "gentle_refit": {
        "own.diagonal().mean()": ("0.1 * own.diagonal().mean()"),
    },
}
