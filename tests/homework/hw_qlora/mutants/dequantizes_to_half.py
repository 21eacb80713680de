"""Returns the weight in 16-bit precision."""

LOSES = ["test_double_dequant", "test_smollm2"]
PATCHES = {
    "double_dequant": {
        ".view(rows, cols)": (".view(rows, cols).half().float()"),
    },
}
