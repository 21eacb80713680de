"""Averages the portions' averages, as if all portions were equally long."""

LOSES = ["test_hessian"]


def hessian(batches):
    return sum(2 / len(x) * x.T @ x for x in batches) / len(batches)
