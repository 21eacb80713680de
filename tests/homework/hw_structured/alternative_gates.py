"""Right by hyperbolic tangents, views of heads, and tokens that have the same H."""

import math

import torch


def sample_gates(log_alpha, u):
    coin = 0.5 + 0.5 * torch.tanh((log_alpha + torch.log(u / (1 - u))) / (2 * BETA))
    return torch.clamp(coin * (ZETA - GAMMA) + GAMMA, min=0.0, max=1.0)


def open_probability(log_alpha):
    shift = BETA * (math.log(ZETA) - math.log(-GAMMA))
    return 0.5 * (1 + torch.tanh((log_alpha + shift) / 2))


def gates_at_test(log_alpha):
    # σ as the distribution of noise that is never drawn: u = 1/2 and β = 1.
    stretched = GAMMA + (ZETA - GAMMA) * torch.nn.functional.logsigmoid(log_alpha).exp()
    return torch.nn.functional.hardtanh(stretched, 0.0, 1.0)


def neuron_importance(x):
    return torch.stack([rows.abs().mean(0) for rows in x]).square().sum(0).sqrt()


def block_influence(before, after):
    found = []
    for h, turned in zip(before, after, strict=True):
        for a, b in zip(h, turned, strict=True):
            a, b = a.double(), b.double()
            found.append((a / a.norm()) @ (b / b.norm()))
    return float(1 - sum(found) / len(found))


def cut_heads(attention, kept, head_dim):
    cut = {k: w for k, w in attention.items() if k not in ("q", "q_bias", "o")}
    split = attention["q"].unflatten(0, (-1, head_dim))
    cut["q"] = split[kept].flatten(0, 1)
    if "q_bias" in attention:
        cut["q_bias"] = attention["q_bias"].view(-1, head_dim)[kept].flatten()
    cut["o"] = attention["o"].unflatten(1, (-1, head_dim))[:, kept].flatten(1)
    return cut


def refit_columns(w, kept, H, damping):
    # The closed form of ridge regression on tokens that have this H.
    values, vectors = torch.linalg.eigh(H)
    tokens = vectors * values.clamp(min=0).sqrt()  # (cols, cols): tokens as columns
    own = tokens[kept]
    damped = own @ own.T
    damped.diagonal().add_(damping * damped.diagonal().mean())
    return torch.linalg.solve(damped, own @ (w.double() @ tokens).T).T.to(w.dtype)


def slim_attention(attention, H, score, count, head_dim, damping):
    groups = attention["k"].shape[0] // head_dim
    kept = kept_in_groups(score, groups, count)
    numbers = torch.arange(len(H))
    columns = numbers[torch.isin(numbers // head_dim, kept)]
    fitted = refit_columns(attention["o"], columns, H, damping)
    return {**cut_heads(attention, kept, head_dim), "o": fitted}


def gentle_refit(w, kept, H):
    # Believe the text about pairs half as much as about each input by itself.
    own = 0.5 * H + 0.5 * torch.diag(H.diagonal())
    gone = torch.ones(len(H), dtype=torch.bool)
    gone[kept] = False
    strength = 0.3 * H.diagonal().mean()
    damped = own[kept][:, kept] + strength * torch.eye(len(kept)).to(H)
    lost = w[:, gone].double() @ own[gone][:, kept]
    return (w[:, kept].double() + torch.linalg.solve(damped, lost.T).T).to(w.dtype)
