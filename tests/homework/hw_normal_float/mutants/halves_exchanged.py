"""Gives the extra level to the negative half."""

LOSES = ["test_nf_levels"]


def nf_levels(bits, offset):
    half = 2 ** (bits - 1)
    low = torch.special.ndtri(torch.linspace(offset, 0.5, half + 1)[:-1].double())
    high = torch.special.ndtri(torch.linspace(offset, 0.5, half)[:-1].double())
    levels = torch.cat([-low, torch.zeros(1), high]).sort().values
    return levels / levels.max()
