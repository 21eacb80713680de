"""Raises both ranges to the power α."""

LOSES = ["test_smoothing_factors"]


def smoothing_factors(x, w, alpha):
    x_max, w_max = x.abs().amax(0), w.abs().amax(0)
    alive = (x_max > 0) & (w_max > 0)
    return torch.where(alive, (x_max / w_max) ** alpha, 1.0)
