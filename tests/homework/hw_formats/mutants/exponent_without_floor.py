"""Lets the exponent sink below 1 - b, so that subnormals keep all their bits."""

LOSES = ["test_round_nearest"]


def round_nearest(x, exponent_bits, fraction_bits):
    _, power = torch.frexp(x)
    exponent = power - 1
    k = torch.round(torch.ldexp(x, fraction_bits - exponent))
    return torch.ldexp(k, exponent - fraction_bits)
