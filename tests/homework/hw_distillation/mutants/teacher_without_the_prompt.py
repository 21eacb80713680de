"""Shows the teacher what it wrote, and the prompt at first only."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "teacher(prompt + text)": "teacher(text or prompt)",
    },
}
