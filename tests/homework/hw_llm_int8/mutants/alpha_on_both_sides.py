"""Raises both ranges to the power α."""

LOSES = ["test_smoothing_factors"]
PATCHES = {
    "smoothing_factors": {
        "x_max**alpha / w_max ** (1 - alpha)": "(x_max / w_max) ** alpha",
    },
}
