"""Returns a share."""

LOSES = ["test_changed_codes"]
PATCHES = {
    "changed_codes": {
        ("int((codes(w) != codes(w + update)).sum())"): (
            "float((codes(w) != codes(w + update)).float().mean())"
        ),
    },
}
