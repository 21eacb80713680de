"""Rounds the columns with the smallest inputs first."""

LOSES = ["test_act_order"]


def act_order(w, H):
    order = H.diagonal().argsort(stable=True)
    return w[:, order], H[order][:, order], order
