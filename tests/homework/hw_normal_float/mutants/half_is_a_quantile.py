"""Takes p = 1/2 for one of the quantiles, so that 0 is a level twice."""

LOSES = ["test_nf_levels"]


def nf_levels(bits, offset):
    half = 2 ** (bits - 1)
    low = torch.special.ndtri(torch.linspace(offset, 0.5, half).double())
    high = torch.special.ndtri(torch.linspace(offset, 0.5, half).double())
    levels = torch.cat([-low, high]).sort().values
    return levels / levels.max()
