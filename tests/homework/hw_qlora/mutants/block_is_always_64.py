"""Takes 64 for the block, whatever it is told."""

LOSES = ["test_double_dequant", "test_smollm2"]
PATCHES = {
    "double_dequant": {
        'repeat_interleave(frozen["block"])': "repeat_interleave(64)",
    },
}
