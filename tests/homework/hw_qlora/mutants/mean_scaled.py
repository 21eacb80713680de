"""Adds the mean before it multiplies by the second constant."""

LOSES = ["test_double_dequant", "test_smollm2"]
PATCHES = {
    "double_dequant": {
        ('frozen["levels2"][frozen["c2"].long()] * c1 + frozen["mean"]'): (
            '(frozen["levels2"][frozen["c2"].long()] + frozen["mean"]) * c1'
        ),
    },
}
