"""Lets in whoever came last."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "waiting.pop(0)": "waiting.pop()",
    },
}
