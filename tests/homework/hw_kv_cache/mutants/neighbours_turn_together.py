"""Turns channels 2j and 2j + 1 together, as other models do."""

LOSES = ["test_rotate"]
PATCHES = {
    "rotate": {
        "x.chunk(2, -1)": "(x[..., ::2], x[..., 1::2])",
        "torch.cat((a * cos - b * sin, a * sin + b * cos), -1)": (
            "torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)"
        ),
    },
}
