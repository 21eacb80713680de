"""Takes the portions out of the caller's list."""

LOSES = ["test_hessian"]


def hessian(batches):
    total, count = 0, 0
    while batches:
        x = batches.pop()
        total, count = total + x.T @ x, count + len(x)
    return 2 / count * total
