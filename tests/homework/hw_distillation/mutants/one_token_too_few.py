"""Stops one token early."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "range(new_tokens)": "range(max(1, new_tokens - 1))",
    },
}
