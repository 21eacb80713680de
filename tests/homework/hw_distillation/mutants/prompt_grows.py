"""Writes into the caller's prompt."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "    scores = ": """    prompt += kept[0][1]
    scores = """,
    },
}
