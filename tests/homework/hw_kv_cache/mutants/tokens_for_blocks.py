"""Compares new tokens with free blocks."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "-(-(cached + taken.get(name, 0)) // size) - -(-cached // size)": (
            "taken.get(name, 0)"
        ),
    },
}
