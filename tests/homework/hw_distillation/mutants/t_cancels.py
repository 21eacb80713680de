"""Thinks that T² and 1/T leave nothing."""

LOSES = ["test_kd_gradient"]
PATCHES = {
    "kd_gradient": {
        "soft = temperature *": "soft = 1 *",
    },
}
