"""Compares x itself with the threshold, so that -60 is no outlier."""

LOSES = ["test_outlier_columns"]


def outlier_columns(x, threshold):
    return (x >= threshold).any(0).nonzero().flatten()
