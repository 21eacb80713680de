"""Multiplies all hours by the mean of the watts."""

LOSES = ["test_footprint"]
PATCHES = {
    "footprint": {
        "sum(hours * watts for hours, watts in runs)": (
            "hours * sum(watts for _, watts in runs) / len(runs)"
        ),
    },
}
