"""Takes the blocks of the forward pass for X."""

LOSES = ["test_linear_backward"]
PATCHES = {
    "linear_backward": {
        "rounded(x, 0, of_x)": "rounded(x, 1, of_x)",
    },
}
