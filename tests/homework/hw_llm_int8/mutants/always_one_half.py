"""Trusts the rule of thumb α = 1/2 and does not search."""

LOSES = ["bonus_search_factors"]


def search_factors(x, w):
    return (x.abs().amax(0) / w.abs().amax(0)).sqrt()
