"""Minimizes the plain squared error, whatever the inputs are."""

LOSES = ["bonus_importance_quantize"]


def importance_quantize(weight, importance):
    return clip_weight(weight, 2, 64, [1.0, 0.9, 0.8, 0.7])
