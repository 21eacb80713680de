"""Returns a K below 0 where the two never meet."""

LOSES = ["test_turning_tokens"]
PATCHES = {
    "turning_tokens": {
        " if computing > moving else math.inf": " if computing != moving else math.inf",
    },
}
