"""Puts the first sign into the highest bit."""

LOSES = ["test_pack_signs"]
PATCHES = {
    "pack_signs": {
        "torch.arange(64)": "torch.arange(63, -1, -1)",
    },
}
