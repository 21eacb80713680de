"""Counts keys and values as if they never went."""

LOSES = ["test_expected_weights"]
PATCHES = {
    "expected_weights": {
        "1 - (1 - p.unflatten(1, (groups, -1))).prod(-1)": (
            "p.unflatten(1, (groups, -1)).sum(-1) * 0 + 1"
        ),
    },
}
