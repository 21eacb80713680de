"""Asks for features that reach the threshold in every token, not in some."""

LOSES = ["test_outlier_columns"]


def outlier_columns(x, threshold):
    return (x.abs() >= threshold).all(0).nonzero().flatten()
