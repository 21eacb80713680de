"""Cuts the flat sequence."""

LOSES = ["test_unpack_trits"]
PATCHES = {
    "unpack_trits": {
        ".flatten(1)[:, :cols]": ".flatten()[: len(packed) * cols].view(-1, cols)",
    },
}
