"""Adds rows that were rounded first: 538.98."""

LOSES = ["test_footprint"]
PATCHES = {
    "footprint": {
        "kwh * kg_per_kwh / 1000": (
            "sum(round(pue * h * w * kg_per_kwh / 1e6, 2) for h, w in runs)"
        ),
    },
}
