"""Stops when the first text has ended."""

LOSES = ["test_sequence_targets"]
PATCHES = {
    "sequence_targets": {
        "        kept = sorted(possible, reverse=True)[:beams]": (
            "        kept = sorted(possible, reverse=True)[:beams]\n"
            "        if any(text[-1] == end for _, text in kept):\n"
            "            break"
        ),
    },
}
