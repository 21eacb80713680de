"""Runs GPTQ first, and puts the worst weights back when it is too late for others."""

LOSES = ["bonus_outliers"]


def gptq_with_outliers(w, H, bits, group, damping, share):
    rounded = gptq(w, H, bits, group, group, damping)
    cost = (w - rounded).square() * H.diagonal()
    kept = torch.zeros(w.numel(), dtype=torch.bool)
    kept[cost.flatten().topk(int(share * w.numel())).indices] = True
    kept = kept.view_as(w)
    return torch.where(kept, w, rounded), kept
