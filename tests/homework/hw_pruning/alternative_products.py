"""Right with products in place of choices, and the optimizer's own formula unrolled."""

import torch


def input_norms(batches):
    total = torch.zeros_like(batches[0][0])
    for x in batches:
        total = total + (x.T @ x).diagonal()
    return total**0.5


def kept_share(score, sparsity):
    flat = score.reshape(-1)
    stay = flat.numel() - int(flat.numel() * sparsity)
    if stay == 0:
        return torch.zeros_like(score, dtype=torch.bool)
    least = flat.sort(descending=True).values[stay - 1]
    above, equal = flat > least, flat == least
    room = stay - int(above.sum())
    return (above | (equal & (equal.cumsum(0) <= room))).reshape(score.shape)


def prune_block(w, U, sparsity):
    # Each row's errors solve a triangular system: Δ = E U, with ŵ = w - Δ.
    kept = kept_share(w.abs() / U.diagonal(), sparsity)
    errors = torch.zeros_like(w)
    for j in range(w.shape[1]):
        now = w[:, j] - errors[:, :j] @ U[:j, j]
        errors[:, j] = (now / U[j, j]).masked_fill(kept[:, j], 0)
    return (w - errors @ U).masked_fill(~kept, 0), kept, errors


def masked_step(w, grad, velocity, kept, rate, momentum):
    gone = torch.logical_not(kept)
    w, grad, velocity = (x.masked_fill(gone, 0) for x in (w, grad, velocity))
    return w - rate * momentum * velocity - rate * grad, momentum * velocity + grad
