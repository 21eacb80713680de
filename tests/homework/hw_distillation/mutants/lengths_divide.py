"""Divides a text's score by its length."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "sorted(possible, reverse=True)": (
            "sorted(possible, key=lambda x: x[0] / len(x[1]), reverse=True)"
        ),
    },
}
