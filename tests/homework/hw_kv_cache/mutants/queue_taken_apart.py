"""Takes requests out of the caller's queue."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "list(running), list(waiting)": "list(running), waiting",
    },
}
