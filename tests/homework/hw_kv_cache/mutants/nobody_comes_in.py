"""Lets nobody in before all have left: static batching."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "while waiting and len(running) < batch": "while waiting and not running",
    },
}
