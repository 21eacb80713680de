"""Does not begin a new streak where the scale cannot grow."""

LOSES = ["test_next_scale", "test_smollm2"]
PATCHES = {
    "next_scale": {
        "return min(scale * 2, highest), 0": (
            "if scale == highest:\n"
            "        return scale, streak\n"
            "    return min(scale * 2, highest), 0"
        ),
    },
}
