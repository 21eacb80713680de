"""Cuts the bits off in place of rounding."""

LOSES = ["test_round_nearest"]


def round_nearest(x, exponent_bits, fraction_bits):
    bias = 2 ** (exponent_bits - 1) - 1
    _, power = torch.frexp(x)
    exponent = (power - 1).clamp(min=1 - bias)
    k = torch.trunc(torch.ldexp(x, fraction_bits - exponent))
    return torch.ldexp(k, exponent - fraction_bits)
