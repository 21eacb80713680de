"""Lets each query see all of its row, later tokens too."""

LOSES = ["test_attention"]
PATCHES = {
    "attention": {
        "lengths[:, None] - m + torch.arange(m)": (
            "lengths[:, None] - 1 + 0 * torch.arange(m)"
        ),
    },
}
