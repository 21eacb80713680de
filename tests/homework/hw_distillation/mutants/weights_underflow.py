"""Divides probabilities that are 0 already."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "scores.softmax(0)": "scores.exp() / scores.exp().sum()",
    },
}
