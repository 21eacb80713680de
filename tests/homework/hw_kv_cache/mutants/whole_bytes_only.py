"""Rounds a number's bits down to whole bytes, so that 4 bits are free."""

LOSES = ["test_token_bytes"]
PATCHES = {
    "token_bytes": {
        "* bits // 8": "* (bits // 8)",
    },
}
