"""Gives a block of zeros the scale 1, and the task says 2^-127."""

LOSES = ["test_mxfp4"]
PATCHES = {
    "mxfp4": {
        "    return": "    scales = torch.where(largest > 0, scales, 1.0)\n    return",
    },
}
