"""Permutes the rows of H, and leaves its columns."""

LOSES = ["test_act_order"]


def act_order(w, H):
    order = H.diagonal().argsort(descending=True, stable=True)
    return w[:, order], H[order], order
