"""Takes weights that are 0 for dropped, and reads no mask."""

LOSES = ["test_masked_step"]
PATCHES = {
    "masked_step": {
        "    velocity = torch": ("    kept = kept & (w != 0)\n    velocity = torch"),
    },
}
