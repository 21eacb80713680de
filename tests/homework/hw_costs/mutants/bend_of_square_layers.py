"""Takes every layer for a square one."""

LOSES = ["test_turning_tokens"]
PATCHES = {
    "turning_tokens": {
        "(inputs + outputs)": "2 * inputs",
    },
}
