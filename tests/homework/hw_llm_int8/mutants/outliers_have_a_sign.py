"""Compares x itself with the threshold, so that -60 is no outlier."""

LOSES = ["test_outlier_columns", "test_llm_int8"]


def outlier_columns(x, threshold):
    return (x >= threshold).any(0).nonzero().flatten()
