"""Counts as inside what rounds to a code, half a step too far."""

LOSES = ["test_lsq_backward", "test_smollm2"]
PATCHES = {
    "lsq_backward": {
        "(v >= low) & (v <= high)": "(v.round() >= low) & (v.round() <= high)",
    },
}
