"""Multiplies the hours by the PUE too."""

LOSES = ["test_footprint"]
PATCHES = {
    "footprint": {
        "return hours, kwh": "return pue * hours, kwh",
    },
}
