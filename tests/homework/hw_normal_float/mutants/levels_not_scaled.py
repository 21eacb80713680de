"""Forgets to divide by the largest quantile: levels end at 1.85."""

LOSES = ["test_nf_levels"]


def nf_levels(bits, offset):
    half = 2 ** (bits - 1)
    low = torch.special.ndtri(torch.linspace(offset, 0.5, half)[:-1].double())
    high = torch.special.ndtri(torch.linspace(offset, 0.5, half + 1)[:-1].double())
    return torch.cat([-low, torch.zeros(1), high]).sort().values
