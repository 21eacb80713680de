"""Differentiates s q with q constant: forgets that v moves with s."""

LOSES = ["test_lsq_backward", "test_smollm2"]
PATCHES = {
    "lsq_backward": {
        "v.round() - v,": "v.round(),",
    },
}
