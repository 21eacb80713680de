"""Correct, but written otherwise: elimination for Cholesky, one column at a time."""

import torch


def find_grid(w, bits):
    zeros = torch.zeros_like(w[:, :1])
    every = torch.cat([w, zeros], 1)
    low, high = every.min(1, keepdim=True)[0], every.max(1, keepdim=True)[0]
    scale = (high - low).div(2**bits - 1)
    scale[scale == 0] = 1
    zero = torch.round(low.neg() / scale)
    return scale.to(torch.float16).to(w), zero


def to_grid(w, scale, zero, bits):
    return scale * (torch.round(w / scale).clamp(-zero, 2**bits - 1 - zero))


def hessian(batches):
    x = torch.cat(batches)
    return torch.einsum("ti,tj->ij", x, x).mul(2).div(x.shape[0])


def inverse_factor(H, damping=0.01):
    H = H.clone()
    live = H.diagonal() != 0
    H.diagonal()[live] += damping * H.diagonal()[live].mean()
    H.diagonal()[~live] = 1
    inverse, U = torch.linalg.inv(H), torch.zeros_like(H)
    for j in range(len(H)):  # what elimination leaves of row j, scaled
        U[j] = inverse[j] / inverse[j, j].sqrt()
        inverse -= torch.outer(U[j], U[j])
        U[j, :j] = 0
    return U


def round_block(w, U, scale, zero, bits):
    rounded, errors = [], []
    for j in range(w.shape[1]):
        now = w[:, j].clone()
        for i, e in enumerate(errors):
            now -= e * U[i, j]
        level = to_grid(now[:, None], scale, zero, bits)[:, 0]
        rounded.append(level)
        errors.append((now - level) / U[j, j])
    return torch.stack(rounded, 1), torch.stack(errors, 1)


def gptq(w, H, bits, group, block, damping=0.01):
    U = inverse_factor(H, damping).to(w.dtype)
    w, rounded = w.clone(), torch.empty_like(w)
    for start in range(0, w.shape[1], group):  # blocks are for speed; groups matter
        grid = find_grid(w[:, start : start + group], bits)
        for j in range(start, start + group):
            rounded[:, j : j + 1] = to_grid(w[:, j : j + 1], *grid, bits)
            error = (w[:, j] - rounded[:, j]) / U[j, j]
            w[:, j + 1 :] -= error[:, None] * U[j, None, j + 1 :]
    return rounded


def act_order(w, H):
    _, order = torch.sort(-H.diagonal(), stable=True)
    return (
        w.index_select(1, order),
        H.index_select(0, order).index_select(1, order),
        order,
    )


def undo_order(rounded, order):
    return rounded[:, order.argsort()]


def smollm2_layer(w, H):
    w, H, order = act_order(w, H)
    return undo_order(gptq(w, H, 2, 64, 64, 0.2), order), order


def gptq_with_outliers(w, H, bits, group, damping, share):
    U = inverse_factor(H, damping).to(w.dtype)
    count = int(share * w.numel())
    least = w.abs().flatten().sort(descending=True)[0][count]
    kept = w.abs() > least  # the largest set the steps of their groups
    w, rounded = w.clone(), torch.empty_like(w)
    for start in range(0, w.shape[1], group):
        here = slice(start, start + group)
        grid = find_grid(torch.where(kept[:, here], 0.0, w[:, here]), bits)
        for j in range(start, start + group):
            level = to_grid(w[:, j : j + 1], *grid, bits)[:, 0]
            rounded[:, j] = torch.where(kept[:, j], w[:, j], level)
            error = (w[:, j] - rounded[:, j]) / U[j, j]
            w[:, j + 1 :] -= torch.outer(error, U[j, j + 1 :])
    return rounded, kept
