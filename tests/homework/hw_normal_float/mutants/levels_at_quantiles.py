"""Believes that equally full cells have the least error."""

LOSES = ["bonus_best_levels"]


def best_levels(w, k):
    return torch.stack([part.mean() for part in w.double().sort().values.chunk(k)])
