"""Sends the preempted back with its pending tokens alone."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "(name, 0, cached + pending)": "(name, 0, pending)",
    },
}
