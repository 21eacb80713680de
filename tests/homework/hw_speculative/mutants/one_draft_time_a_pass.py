"""Counts the draft's time once a pass."""

LOSES = ["test_best_gamma"]
PATCHES = {
    "best_gamma": {
        "gamma * draft_time": "(gamma > 0) * draft_time",
    },
}
