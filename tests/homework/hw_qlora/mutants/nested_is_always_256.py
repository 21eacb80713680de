"""Takes 256 for the nested block, whatever it is told."""

LOSES = ["test_double_dequant", "test_smollm2"]
PATCHES = {
    "double_dequant": {
        'repeat_interleave(frozen["nested"])': "repeat_interleave(256)",
    },
}
