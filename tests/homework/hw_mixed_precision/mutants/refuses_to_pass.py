"""Stays below a limit that doubling would pass, and does not reach it."""

LOSES = ["test_next_scale", "test_smollm2"]
PATCHES = {
    "next_scale": {
        "min(scale * 2, highest), 0": "scale * 2 if scale * 2 <= highest else scale, 0",
    },
}
