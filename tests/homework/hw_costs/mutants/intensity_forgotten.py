"""Takes kilowatt hours for kilograms."""

LOSES = ["test_footprint"]
PATCHES = {
    "footprint": {
        "kwh * kg_per_kwh / 1000": "kwh / 1000",
    },
}
