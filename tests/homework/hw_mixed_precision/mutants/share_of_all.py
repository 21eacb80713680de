"""Counts entries that were 0 before as well."""

LOSES = ["test_fates"]
PATCHES = {
    "fates": {
        "max(1, h.numel())": "max(1, g.numel())",
    },
}
