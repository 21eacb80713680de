"""Wants more than the threshold, where reaching it is enough."""

LOSES = ["test_outlier_columns"]


def outlier_columns(x, threshold):
    return (x.abs() > threshold).any(0).nonzero().flatten()
