"""Keeps the old constants where the merged weight has new ones."""

LOSES = ["test_changed_codes"]
PATCHES = {
    "changed_codes": {
        "def codes(weight):\n": "def codes(weight, like):\n",
        "for part in weight.flatten().split(block):": (
            "for part, old in zip(weight.flatten().split(block), "
            "like.flatten().split(block)):"
        ),
        "part.abs().max()": "old.abs().max()",
        "codes(w) != codes(w + update)": "codes(w, w) != codes(w + update, w)",
    },
}
