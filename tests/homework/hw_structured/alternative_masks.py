"""Right with masks in place of indices, and descent in place of a solver."""

import torch


def head_importance(gradients, per_layer):
    sizes = torch.maximum(gradients, -gradients)
    importance = torch.einsum("xlh->lh", sizes) / sizes.shape[0]
    return (
        torch.nn.functional.normalize(importance, dim=-1) if per_layer else importance
    )


def kept_in_groups(score, groups, count):
    runs, mask = score.double().reshape(groups, -1).clone(), []
    mask = torch.zeros(runs.shape, dtype=torch.bool)
    for _ in range(count):
        left = runs.masked_fill(mask, -torch.inf)
        best = (left == left.amax(1, keepdim=True)).int().argmax(1)
        mask[torch.arange(groups), best] = True
    return mask.flatten().nonzero().flatten()


def expected_weights(attention, heads, groups, head_dim, hidden):
    # Over all patterns of a group, one head at a time, by recursion.
    p = open_probability(heads).reshape(len(heads), groups, -1)
    some = torch.zeros_like(p[..., 0])
    for h in range(p.shape[-1]):
        some = some + (1 - some) * p[..., h]
    parts = p.sum(-1) + some
    weights = 2 * head_dim * hidden
    return torch.einsum("l,lg->", open_probability(attention), parts) * weights


def cut_mlp(mlp, kept):
    stay = torch.zeros(len(mlp["gate"]), dtype=torch.bool)
    stay[kept] = True
    return {
        name: w[:, stay] if name == "down" else w if name == "down_bias" else w[stay]
        for name, w in mlp.items()
    }


def cut_heads(attention, kept, head_dim):
    heads = attention["q"].shape[0] // head_dim
    stay = torch.isin(torch.arange(heads), kept).repeat_interleave(head_dim)
    cut = {}
    for name in attention:
        match name:
            case "q" | "q_bias":
                cut[name] = attention[name][stay]
            case "o":
                cut[name] = attention[name][:, stay]
            case _:
                cut[name] = attention[name]
    return cut


def refit_columns(w, kept, H, damping):
    stay = torch.zeros(len(H), dtype=torch.bool)
    stay[kept] = True
    own, gone = H[stay][:, stay], H[~stay][:, stay]
    strength = damping * own.diagonal().sum() / int(stay.sum())
    damped = own + torch.diag_embed(strength.expand(len(own)))
    # Ŵ = (W_K H_KK + W_gone H_gone,K) (H_KK + λ I)⁻¹
    right = w[:, stay].double() @ own + w[:, ~stay].double() @ gone
    return torch.linalg.lstsq(damped, right.T).solution.T.to(w.dtype)


def gentle_refit(w, kept, H):
    # From the cut, and stopped early: what the text hardly says is left alone.
    own, target = H[kept][:, kept], w.double() @ H[:, kept]
    fitted = w[:, kept].double()
    rate = 1 / torch.linalg.matrix_norm(own, 2)
    mean = own.diagonal().mean()
    steps = int((1 / (rate * mean)).clamp(1, 2000).item())
    for _ in range(steps):
        fitted = fitted + rate * (target - fitted @ own)
    return fitted.to(w.dtype)
