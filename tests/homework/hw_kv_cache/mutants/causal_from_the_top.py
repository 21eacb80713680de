"""Lets query i see the keys 0 to i, as if nothing had come before."""

LOSES = ["test_attention"]
PATCHES = {
    "attention": {
        "lengths[:, None] - m + torch.arange(m)": "torch.arange(m).expand(len(q), m)",
    },
}
