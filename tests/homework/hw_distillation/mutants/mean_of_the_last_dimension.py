"""Averages over tokens."""

LOSES = ["test_ensemble_targets"]
PATCHES = {
    "ensemble_targets": {
        ".mean(0)": ".mean(-1)",
    },
}
