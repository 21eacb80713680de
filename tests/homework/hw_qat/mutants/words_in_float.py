"""Adds powers of two in float32, which keeps 24 bits of a word."""

LOSES = ["test_pack_signs"]
PATCHES = {
    "pack_signs": {
        "(bits.unflatten(1, (-1, 64)) << torch.arange(64)).sum(-1)": (
            "(bits.unflatten(1, (-1, 64)) * 2.0 ** torch.arange(64)).sum(-1).long()"
        ),
    },
}
