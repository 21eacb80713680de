"""Keeps the share in every row, rounded up, and so more than the share of all."""

import math

LOSES = ["bonus_outliers"]


def gptq_with_outliers(w, H, bits, group, damping, share):
    U = inverse_factor(H, damping).to(w.dtype)
    count = math.ceil(share * w.shape[1]) + 1
    kept = torch.zeros_like(w, dtype=torch.bool)
    kept.scatter_(1, (w.abs() / U.diagonal()).topk(count).indices, True)
    w, rounded = w.clone(), torch.zeros_like(w)
    for start in range(0, w.shape[1], group):
        here = slice(start, start + group)
        scale, zero = find_grid(w[:, here].masked_fill(kept[:, here], 0), bits)
        for j in range(start, start + group):
            level = to_grid(w[:, j : j + 1], scale, zero, bits)[:, 0]
            rounded[:, j] = torch.where(kept[:, j], w[:, j], level)
            error = (w[:, j] - rounded[:, j]) / U[j, j]
            w[:, j + 1 :] -= torch.outer(error, U[j, j + 1 :])
    return rounded, kept
