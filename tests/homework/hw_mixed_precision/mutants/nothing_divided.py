"""Divides by 0 where nothing can be lost."""

LOSES = ["test_fates"]
PATCHES = {
    "fates": {
        "max(1, h.numel())": "h.numel()",
    },
}
