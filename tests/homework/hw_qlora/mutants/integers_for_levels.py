"""Takes codes for integers around 8: NF4 has levels."""

LOSES = ["test_double_dequant", "test_smollm2"]
PATCHES = {
    "double_dequant": {
        'frozen["levels"][codes]': "(codes - 8.0) / 7",
    },
}
