"""Counts whole groups only."""

LOSES = ["test_least_time"]
PATCHES = {
    "least_time": {
        "3 * -(-cols // group)": "3 * (cols // group)",
    },
}
