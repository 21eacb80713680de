"""Takes new blocks for each piece, though the last block has places."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "-(-(cached + taken.get(name, 0)) // size) - -(-cached // size)": (
            "-(-taken.get(name, 0) // size)"
        ),
    },
}
