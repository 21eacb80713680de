"""Gives each the other's gradient."""

LOSES = ["test_mutual_gradients"]
PATCHES = {
    "mutual_gradients": {
        "gradient, -gradient": "-gradient, gradient",
    },
}
