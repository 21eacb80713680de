"""Does not stop a text at its end."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "if text[-1:] == [end]": "if text[-1:] == [end, end]",
    },
}
