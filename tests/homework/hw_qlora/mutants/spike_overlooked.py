"""Lets nobody go where the page is there, though the room has shrunk."""

LOSES = ["test_touch"]
PATCHES = {
    "touch": {
        ("max(0, len(others) - (room - 1))"): (
            "0 if page in here else max(0, len(others) - (room - 1))"
        ),
    },
}
