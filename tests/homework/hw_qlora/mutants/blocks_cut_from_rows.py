"""Begins a block anew with every row of the merged matrix."""

LOSES = ["test_changed_codes"]
PATCHES = {
    "changed_codes": {
        ("weight.flatten().split(block)"): (
            "[p for row in weight for p in row.split(block)]"
        ),
    },
}
