"""Returns watt hours in place of kilowatt hours."""

LOSES = ["test_footprint"]
PATCHES = {
    "footprint": {
        "for hours, watts in runs) / 1000": "for hours, watts in runs)",
        "kwh * kg_per_kwh / 1000": "kwh * kg_per_kwh / 1e6",
    },
}
