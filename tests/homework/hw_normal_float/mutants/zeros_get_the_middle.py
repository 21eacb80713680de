"""Gives a block of zeros the middle code, wherever the level nearest to 0 is."""

LOSES = ["test_quantize_blocks"]
PATCHES = {
    "quantize_blocks": {
        "    return": "    codes[constants == 0] = len(levels) // 2 - 1\n    return",
    },
}
