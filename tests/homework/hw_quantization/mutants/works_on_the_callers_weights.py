"""Corrects the weights in place, and the caller has lost the originals."""

LOSES = ["test_round_block"]
PATCHES = {
    "round_block": {
        "    w = w.clone()": "    w = w",
    },
}
