"""Counts a key for each token, and no value."""

LOSES = ["test_token_bytes"]
PATCHES = {
    "token_bytes": {
        "return 2 * config": "return config",
    },
}
