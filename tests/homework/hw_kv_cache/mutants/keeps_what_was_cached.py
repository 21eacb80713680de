"""Sends the preempted back as if its keys were still there."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "(name, 0, cached + pending)": "(name, cached, pending)",
    },
}
