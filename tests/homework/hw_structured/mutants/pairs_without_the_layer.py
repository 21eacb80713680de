"""Forgets that keys go with the attention as a whole."""

LOSES = ["test_expected_weights"]
PATCHES = {
    "expected_weights": {
        "(a * (p.sum(1) + pairs.sum(1))).sum()": (
            "(a * p.sum(1) + pairs.sum(1)).sum()"
        ),
    },
}
