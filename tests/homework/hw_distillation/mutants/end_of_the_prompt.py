"""Takes an end in the prompt for the text's end."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "if text[-1:] == [end]": "if (prompt + text)[-1] == end",
    },
}
