"""Sends back whoever came first."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "running.pop()": "running.pop(0)",
    },
}
