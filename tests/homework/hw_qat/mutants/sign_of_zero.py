"""Takes torch.sign, whose 0 is no bit, as BinaryNet's published code does."""

LOSES = ["test_binarize"]
PATCHES = {
    "binarize": {
        "torch.where(x >= 0, 1.0, -1.0)": "x.sign()",
    },
}
