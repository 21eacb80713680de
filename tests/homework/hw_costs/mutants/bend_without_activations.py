"""Forgets that the tokens are moved as well."""

LOSES = ["test_turning_tokens"]
PATCHES = {
    "turning_tokens": {
        "(computing - moving)": "computing",
    },
}
