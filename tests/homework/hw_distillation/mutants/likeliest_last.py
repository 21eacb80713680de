"""Returns the likeliest text last."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "return [text for _, text in kept], scores.softmax(0)": (
            "return [text for _, text in kept][::-1], scores.softmax(0).flip(0)"
        ),
    },
}
