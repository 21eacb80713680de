"""Divides the hidden size by the heads, whatever head_dim says."""

LOSES = ["test_token_bytes"]
PATCHES = {
    "token_bytes": {
        'config.get("head_dim", config["hidden_size"] // heads)': (
            'config["hidden_size"] // heads'
        ),
    },
}
