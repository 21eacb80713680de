"""Counts one layer."""

LOSES = ["test_token_bytes"]
PATCHES = {
    "token_bytes": {
        '2 * config["num_hidden_layers"]': "2",
    },
}
