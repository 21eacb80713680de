"""Takes the edges for outside, as the paper's inequalities do."""

LOSES = ["test_lsq_backward", "test_smollm2"]
PATCHES = {
    "lsq_backward": {
        "(v >= low) & (v <= high)": "(v > low) & (v < high)",
    },
}
