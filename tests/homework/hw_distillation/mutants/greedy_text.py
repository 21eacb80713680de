"""Keeps one beam, whatever it is asked for."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "[:beams]": "[:1]",
    },
}
