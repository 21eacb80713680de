"""Rounds G for Wgrad by what is meant for Dgrad."""

LOSES = ["test_linear_backward"]
PATCHES = {
    "linear_backward": {
        'of_g, of_x = recipe["wgrad"]': 'of_x = recipe["wgrad"][1]',
    },
}
