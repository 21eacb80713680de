"""Looks for outlying tokens, and takes their numbers for features."""

LOSES = ["test_outlier_columns", "test_llm_int8"]


def outlier_columns(x, threshold):
    rows = (x.abs() >= threshold).any(1).nonzero().flatten()
    return rows[rows < x.shape[1]]
