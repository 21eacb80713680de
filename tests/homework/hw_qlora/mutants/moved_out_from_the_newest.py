"""Sends the right pages out, the most recent first."""

LOSES = ["test_touch"]
PATCHES = {
    "touch": {
        "for p in others[:leaving]]": "for p in reversed(others[:leaving])]",
    },
}
