"""Averages each sequence first: a token of a short one counts more."""

LOSES = ["test_block_influence"]
PATCHES = {
    "block_influence": {
        "return 1 - cosines.mean().item()": (
            "return 1 - sum(c.mean().item() for c in "
            "cosines.split([len(x) for x in before])) / len(before)"
        ),
    },
}
