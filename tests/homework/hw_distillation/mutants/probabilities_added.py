"""Adds probabilities."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        ".log_softmax(-1)": ".softmax(-1)",
    },
}
