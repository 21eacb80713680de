"""Counts a key for every head of queries, though they share."""

LOSES = ["test_token_bytes"]
PATCHES = {
    "token_bytes": {
        'config.get("num_key_value_heads", heads)': "heads",
    },
}
