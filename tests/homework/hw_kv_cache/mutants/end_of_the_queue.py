"""Sends the preempted to the end of the queue."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "waiting.insert(0, (name, 0, cached + pending))": (
            "waiting.append((name, 0, cached + pending))"
        ),
    },
}
