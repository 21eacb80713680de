"""Counts a pair only where all heads of its group are open."""

LOSES = ["test_expected_weights"]
PATCHES = {
    "expected_weights": {
        "1 - (1 - p.unflatten(1, (groups, -1))).prod(-1)": (
            "p.unflatten(1, (groups, -1)).prod(-1)"
        ),
    },
}
