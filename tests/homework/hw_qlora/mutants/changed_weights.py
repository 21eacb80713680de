"""Counts weights that change at all."""

LOSES = ["test_changed_codes"]
PATCHES = {
    "changed_codes": {
        "(codes(w) != codes(w + update))": "(w != w + update)",
    },
}
