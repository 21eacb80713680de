"""Reads the codes by columns."""

LOSES = ["test_double_dequant", "test_smollm2"]
PATCHES = {
    "double_dequant": {
        ".view(rows, cols)": ".view(cols, rows).T",
    },
}
