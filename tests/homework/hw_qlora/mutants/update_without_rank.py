"""Forgets the rank in the update."""

LOSES = ["test_changed_codes"]
PATCHES = {
    "changed_codes": {
        "alpha / len(a)": "alpha",
    },
}
