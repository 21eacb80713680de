"""Squeezes the indices, so that a single one is no vector."""

LOSES = ["test_outlier_columns"]
PATCHES = {
    "outlier_columns": {
        ".flatten()": ".squeeze()",
    },
}
