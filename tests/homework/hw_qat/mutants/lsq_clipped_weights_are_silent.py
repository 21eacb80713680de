"""Gives clipped weights no say about the step."""

LOSES = ["test_lsq_backward", "test_smollm2"]
PATCHES = {
    "lsq_backward": {
        "v.clamp(low, high))": "0.0)",
    },
}
