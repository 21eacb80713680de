"""Takes bits for bytes."""

LOSES = ["test_weights_gb"]
PATCHES = {
    "weights_gb": {
        "(bits + scale) / 8 / 1e9": "(bits + scale) / 1e9",
    },
}
