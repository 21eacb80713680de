"""Correct, but written otherwise: ranks by counting, and solves for what stays."""

import math

import torch


def ranked(row):
    """How many scores of a row come before each: the larger, and the earlier equals."""
    place = torch.arange(len(row))
    larger = row[None, :] > row[:, None]
    earlier = (row[None, :] == row[:, None]) & (place[None, :] < place[:, None])
    return (larger | earlier).sum(1)


def kept_share(score, sparsity):
    stay = score.numel() - math.floor(sparsity * score.numel())
    order = sorted(range(score.numel()), key=lambda i: -score.reshape(-1)[i].item())
    mask = torch.full((score.numel(),), False)
    mask[torch.tensor(order[:stay], dtype=torch.long)] = True
    return mask.reshape(score.shape)


def kept_n_of_m(score, n, m):
    runs = score.reshape(-1, m)
    return torch.stack([ranked(run) < n for run in runs]).reshape(score.shape)


def input_norms(batches):
    return torch.linalg.vector_norm(torch.cat(batches), dim=0)


def wanda_mask(w, norms, sparsity):
    mask = torch.zeros(w.shape, dtype=torch.bool)
    for i in range(w.shape[0]):
        mask[i] = ranked((w[i] * norms).abs()) < w.shape[1] - int(w.shape[1] * sparsity)
    return mask


def prune_block(w, U, sparsity):
    score = w.square() / U.diagonal().square()
    kept = kept_share(score, sparsity)
    pruned, errors = [], []
    for j in range(w.shape[1]):
        now = w[:, j] - sum((e * U[i, j] for i, e in enumerate(errors)), 0 * w[:, j])
        pruned.append(now * kept[:, j])
        errors.append(now * ~kept[:, j] / U[j, j])
    return torch.stack(pruned, 1), kept, torch.stack(errors, 1)


def stored_bytes(kept, bits):
    def length(counts):
        return sum(math.ceil(count / 8) for count in counts)

    k, every = len(kept.nonzero()), kept.numel()
    return {
        "csr": length([32 * (len(kept) + 1), 16 * k, bits * k]),
        "bitmap": length([every, bits * k]),
        "dense": length([bits * every]),
    }


def n_of_m_bytes(rows, cols, n, m, bits):
    k = rows * cols * n // m
    return (k * bits + 7) // 8 + (k * math.ceil(math.log2(m)) + 7) // 8


def masked_step(w, grad, velocity, kept, rate, momentum):
    w, velocity = w.clone(), velocity * momentum + grad
    velocity[~kept] = 0
    w -= rate * velocity
    return w.masked_fill(~kept, 0), velocity


def prune_layer(w, H):
    # Wanda's mask in each four, and then the best values on it: least squares.
    kept = kept_n_of_m(w.abs() * H.diagonal().sqrt(), 2, 4)
    damped = H + 0.01 * H.diagonal().mean() * torch.eye(len(H)).to(H)
    damped, pruned = damped.to(w), torch.zeros_like(w)
    right = w @ damped
    for i, row in enumerate(kept):
        k = row.nonzero()[:, 0]
        pruned[i, k] = torch.linalg.solve(damped[k][:, k], right[i, k])
    return pruned
