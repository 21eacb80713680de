"""Returns p(y) as it is."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "scores.softmax(0)": "scores.exp()",
    },
}
