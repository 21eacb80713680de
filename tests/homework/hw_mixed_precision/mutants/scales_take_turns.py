"""Repeats the scales in turns, not each for a run."""

LOSES = ["test_dequantize_tiles"]
PATCHES = {
    "dequantize_tiles": {
        (
            "scales.repeat_interleave(tile, 0).repeat_interleave(tile, 1)"
        ): "scales.repeat(tile, tile)",
    },
}
