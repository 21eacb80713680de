"""Divides by the range of dead weights."""

LOSES = ["test_smoothing_factors"]


def smoothing_factors(x, w, alpha):
    return x.abs().amax(0) ** alpha / w.abs().amax(0) ** (1 - alpha)
