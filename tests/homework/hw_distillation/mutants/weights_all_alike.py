"""Weighs all texts alike."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "scores.softmax(0)": "scores.exp() ** 0 / len(kept)",
    },
}
