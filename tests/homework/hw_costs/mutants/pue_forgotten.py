"""Leaves out what the building draws."""

LOSES = ["test_footprint"]
PATCHES = {
    "footprint": {
        "pue * sum": "sum",
    },
}
