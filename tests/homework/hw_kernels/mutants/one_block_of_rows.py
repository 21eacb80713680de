"""Makes one block of rows."""

LOSES = ["test_product"]
PATCHES = {
    "product": {
        "packed.shape[0], 16": "packed.shape[0], 64",
        "(triton.cdiv(rows, tall), tokens)": "(1, tokens)",
    },
}
