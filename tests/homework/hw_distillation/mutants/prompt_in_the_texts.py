"""Returns the texts with the prompt."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "[text for _, text in kept]": "[prompt + text for _, text in kept]",
    },
}
