"""Does not cut the last round."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "stop - len(text) - 1))": "stop - len(text)))",
    },
}
