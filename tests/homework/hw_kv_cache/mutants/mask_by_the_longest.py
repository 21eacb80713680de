"""Puts every row's queries where those of the longest are."""

LOSES = ["test_attention"]
PATCHES = {
    "attention": {
        "lengths[:, None] - m": "lengths.amax().expand(len(q), 1) - m",
    },
}
