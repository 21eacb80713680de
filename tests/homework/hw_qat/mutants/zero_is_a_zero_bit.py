"""Takes zero for negative."""

LOSES = ["test_pack_signs"]
PATCHES = {
    "pack_signs": {
        "x >= 0": "x > 0",
    },
}
