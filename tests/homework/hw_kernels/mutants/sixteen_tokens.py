"""Makes sixteen tokens at most."""

LOSES = ["test_product"]
PATCHES = {
    "product": {
        "cdiv(rows, tall), tokens)": "cdiv(rows, tall), min(tokens, 16))",
    },
}
