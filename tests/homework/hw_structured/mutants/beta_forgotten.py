"""Leaves β out of the probability: that is where the gate without chance closes."""

LOSES = ["test_open_probability"]
PATCHES = {
    "open_probability": {
        "log_alpha - BETA * math": ("log_alpha - math"),
    },
}
