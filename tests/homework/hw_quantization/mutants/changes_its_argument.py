"""Corrects the caller's weights in place."""

LOSES = ["test_round_block"]


def round_block(w, U, scale, zero, bits):
    rounded, errors = torch.zeros_like(w), torch.zeros_like(w)
    for j in range(w.shape[1]):
        rounded[:, j] = to_grid(w[:, j : j + 1], scale, zero, bits)[:, 0]
        errors[:, j] = (w[:, j] - rounded[:, j]) / U[j, j]
        w[:, j + 1 :] -= torch.outer(errors[:, j], U[j, j + 1 :])
    return rounded, errors
