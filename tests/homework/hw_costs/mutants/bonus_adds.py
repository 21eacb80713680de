"""Adds moving and computing."""

LOSES = ["bonus_largest_batch"]
PATCHES = {
    "largest_batch": {
        "max(moving, computing)": "moving + computing",
    },
}
