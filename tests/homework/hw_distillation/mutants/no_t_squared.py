"""Leaves T² out: the gradient shrinks with T."""

LOSES = ["test_kd_gradient"]
PATCHES = {
    "kd_gradient": {
        "temperature * (q - p)": "(q - p) / temperature",
    },
}
