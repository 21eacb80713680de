"""Runs Lloyd's iteration once, from evenly spaced levels: a local optimum."""

LOSES = ["bonus_best_levels"]


def best_levels(w, k):
    w = w.double()
    levels = torch.linspace(w.min(), w.max(), k, dtype=torch.float64)
    for _ in range(300):
        cell = torch.bucketize(w, (levels[:-1] + levels[1:]) / 2)
        for q in range(k):
            if (cell == q).any():
                levels[q] = w[cell == q].mean()
    return levels
