"""Lets every gradient pass, as BinaryNet's published code does."""

LOSES = ["test_ste"]
PATCHES = {
    "ste": {
        "torch.where(x.abs() <= 1, g, 0.0)": "g.clone()",
    },
}
