"""Sums over tokens, and never divides by their number."""

LOSES = ["test_hessian"]


def hessian(batches):
    return 2 * sum(x.T @ x for x in batches)
