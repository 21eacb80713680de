"""Writes and turns where the longest row ends, as left padding would."""

LOSES = ["test_cached_attention"]
PATCHES = {
    "cached_attention": {
        "lengths[:, None] + torch.arange(m)": (
            "lengths.amax().expand(n, 1) + torch.arange(m)"
        ),
    },
}
