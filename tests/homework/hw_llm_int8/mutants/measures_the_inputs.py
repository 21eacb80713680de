"""Chooses the factors that make X easiest, and does not look at the output."""

LOSES = ["bonus_search_factors"]


def search_factors(x, w):
    return x.abs().amax(0)
