"""Leaves the factor 2 out."""

LOSES = ["test_hessian"]


def hessian(batches):
    return sum(x.T @ x for x in batches) / sum(len(x) for x in batches)
