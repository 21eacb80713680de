"""Right by the surgeon's way: the inverse shrinks by a column at each step."""

import torch


def kept_share(score, sparsity):
    flat = score.flatten()
    dropped = int(sparsity * len(flat))
    mask = torch.ones(len(flat), dtype=torch.bool)
    # the lowest first, and of equal ones the last
    order = len(flat) - 1 - flat.flip(0).argsort(stable=True)
    mask[order[:dropped]] = False
    return mask.view_as(score)


def kept_n_of_m(score, n, m):
    mask = torch.zeros(score.shape, dtype=torch.bool)
    left = score.double().clone()
    for start in range(0, score.shape[1], m):
        for _ in range(n):
            run = left[:, start : start + m]
            best = (run == run.amax(1, keepdim=True)).int().argmax(1)
            mask[torch.arange(len(score)), start + best] = True
            left[torch.arange(len(score)), start + best] = -torch.inf
    return mask


def wanda_mask(w, norms, sparsity):
    order = (w * norms).abs().argsort(dim=1, descending=True, stable=True)
    mask = torch.zeros_like(w).bool()
    stay = w.shape[1] - int(w.shape[1] * sparsity)
    return mask.scatter(1, order[:, :stay], True)


def prune_block(w, U, sparsity):
    kept = kept_share(w.abs() / U.diagonal().abs(), sparsity)
    w, gone = w.clone(), ~kept
    errors = torch.zeros_like(w)
    for j, pivot in enumerate(U.diagonal()):
        errors[:, j] = w[:, j] * gone[:, j] / pivot
        w -= errors[:, j, None] * U[j].where(torch.arange(len(U)) > j, 0)
    return w.masked_fill(gone, 0), kept, errors


def prune_layer(w, H):
    left = w.double().clone()
    H = H.double() + 0.02 * H.double().diagonal().mean() * torch.eye(len(H)).double()
    inverse, kept = torch.linalg.inv(H), torch.zeros_like(w, dtype=torch.bool)
    for j in range(w.shape[1]):
        if j % 4 == 0:
            ahead, pivots = inverse[:4, :4].clone(), []
            for i in range(4):
                pivots.append(ahead[i, i].clone())
                ahead = ahead - torch.outer(ahead[:, i], ahead[i]) / pivots[-1]
            score = left[:, j : j + 4].square() / torch.stack(pivots)
            kept[:, j : j + 4] = kept_n_of_m(score, 2, 4)
        step = torch.where(kept[:, j], 0, left[:, j]) / inverse[0, 0]
        left[:, j + 1 :] -= torch.outer(step, inverse[0, 1:])
        inverse = (
            inverse[1:, 1:]
            - torch.outer(inverse[1:, 0], inverse[0, 1:]) / inverse[0, 0]
        )
    return torch.where(kept, left, 0).to(w.dtype)
