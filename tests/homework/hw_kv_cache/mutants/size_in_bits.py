"""Gives bits where bytes are due."""

LOSES = ["test_token_bytes"]
PATCHES = {
    "token_bytes": {
        "* bits // 8": "* bits",
    },
}
