"""Counts a scale for the group that is only begun."""

LOSES = ["test_weights_gb"]
PATCHES = {
    "weights_gb": {
        "scale = 16 / group if group else 0": (
            "scale = 16 * -(-parameters // group) / parameters if group else 0"
        ),
    },
}
