"""Takes the machine's ridge for K, whatever the bits."""

LOSES = ["test_turning_tokens"]
PATCHES = {
    "turning_tokens": {
        "weights / (computing - moving)": "peak / bandwidth",
    },
}
