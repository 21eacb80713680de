"""Counts bytes of two codes that change."""

LOSES = ["test_changed_codes"]
PATCHES = {
    "changed_codes": {
        ("return int((codes(w) != codes(w + update)).sum())"): (
            "differ = codes(w) != codes(w + update)\n    return int(differ[::2].sum() + "
            "(differ[1::2] & ~differ[: len(differ) - 1 : 2]).sum())"
        ),
    },
}
