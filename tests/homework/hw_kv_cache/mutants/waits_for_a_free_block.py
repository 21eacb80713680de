"""Lets nobody in while no block is free, though a newcomer may need none yet."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "while waiting and len(running) < batch": (
            "while waiting and len(running) < batch and free > 0"
        ),
    },
}
