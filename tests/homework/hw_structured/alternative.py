"""Correct, but written otherwise: loops over heads and tokens, and counting ranks."""

import math

import torch


def head_importance(gradients, per_layer):
    total = torch.zeros_like(gradients[0])
    for example in gradients:
        total += example.abs()
    importance = total / len(gradients)
    if per_layer:
        for layer, row in enumerate(importance):
            if row.any():
                largest = row.max()
                row = row / largest
                importance[layer] = row / row.square().sum().sqrt()
    return importance


def kept_in_groups(score, groups, count):
    each = len(score) // groups
    kept = []
    for h, own in enumerate(score.tolist()):
        first = h // each * each
        others = range(first, first + each)
        before = [k for k in others if (-score[k].item(), k) < (-own, h)]
        if len(before) < count:
            kept.append(h)
    return torch.tensor(kept)


def sample_gates(log_alpha, u):
    s = (torch.logit(u) / BETA + log_alpha / BETA).sigmoid()
    return torch.minimum(torch.ones_like(s), (s * ZETA + (1 - s) * GAMMA).relu())


def open_probability(log_alpha):
    # 1 - P(s <= -γ / (ζ - γ)): the logistic distribution's own function
    cut = -GAMMA / (ZETA - GAMMA)
    return 1 - torch.sigmoid(BETA * math.log(cut / (1 - cut)) - log_alpha)


def gates_at_test(log_alpha):
    stretched = torch.lerp(
        torch.full_like(log_alpha, GAMMA),
        torch.full_like(log_alpha, ZETA),
        log_alpha.sigmoid(),
    )
    return stretched.where(stretched > 0, 0).where(stretched < 1, 1)


def expected_weights(attention, heads, groups, head_dim, hidden):
    a, p = open_probability(attention), open_probability(heads)
    each, total = p.shape[1] // groups, heads.new_zeros(())
    for layer in range(len(a)):
        for group in range(groups):
            shut = 1.0
            for h in range(group * each, (group + 1) * each):
                total = total + a[layer] * p[layer, h]
                shut = shut * (1 - p[layer, h])
            total = total + a[layer] * (1 - shut)
    return total * head_dim * hidden * 2


def neuron_importance(x):
    means = x.abs().sum(1) / x.shape[1]
    return (means * means).sum(0) ** 0.5


def block_influence(before, after):
    total, tokens = 0.0, 0
    for h, turned in zip(before, after, strict=True):
        cosines = torch.cosine_similarity(h.double(), turned.double(), dim=-1)
        total += cosines.sum().item()
        tokens += len(h)
    return 1.0 - total / tokens


def cut_mlp(mlp, kept):
    rows = {"gate", "up", "gate_bias", "up_bias"}
    cut = {}
    for name, weight in mlp.items():
        if name in rows:
            cut[name] = weight.index_select(0, kept)
        elif name == "down":
            cut[name] = weight.T[kept].T.contiguous()
        else:
            cut[name] = weight.clone()
    return cut


def cut_heads(attention, kept, head_dim):
    def rows_of(x):
        return torch.cat([x[h * head_dim : (h + 1) * head_dim] for h in kept.tolist()])

    cut = {name: weight.clone() for name, weight in attention.items()}
    for name in ("q", "q_bias"):
        if name in attention:
            cut[name] = rows_of(attention[name])
    cut["o"] = rows_of(attention["o"].T).T
    return cut


def refit_columns(w, kept, H, damping):
    # By eigenvectors of what is kept.
    sizes, vectors = torch.linalg.eigh(H[kept][:, kept])
    damped = sizes + damping * sizes.sum() / len(kept)
    right = w.double() @ H[:, kept]
    return (right @ vectors / damped @ vectors.T).to(w.dtype)


def slim_attention(attention, H, score, count, head_dim, damping):
    groups = attention["v"].shape[0] // head_dim
    kept = kept_in_groups(score, groups, count)
    columns = torch.cat([torch.arange(head_dim) + h * head_dim for h in kept])
    slim = cut_heads(attention, kept, head_dim)
    slim["o"] = refit_columns(attention["o"], columns, H, damping)
    return slim


def gentle_refit(w, kept, H):
    # What went is put onto the others by the surgeon's rule, H damped on both sides.
    gone = [j for j in range(w.shape[1]) if j not in set(kept.tolist())]
    damped = H + 0.5 * H.diagonal().mean() * torch.eye(len(H)).to(H)
    inverse = torch.linalg.inv(damped)
    moved = w.double()
    if gone:
        step = torch.linalg.solve(inverse[gone][:, gone], moved[:, gone].T)
        moved = moved - step.T @ inverse[gone]
    return moved[:, kept].to(w.dtype)
