"""Pulls to 0, as exercise 6 does."""

LOSES = ["bonus_smollm2"]
PATCHES = {
    "gentle_refit": {
        " + strength * w[:, kept].double()": (""),
    },
}
