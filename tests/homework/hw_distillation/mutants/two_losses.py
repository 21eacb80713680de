"""Forgets the hidden states."""

LOSES = ["test_triple_loss"]
PATCHES = {
    "triple_loss": {
        " + cos * apart": "",
    },
}
