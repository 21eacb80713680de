"""Lets in everybody who waits."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "while waiting and len(running) < batch": "while waiting",
    },
}
