"""Rounds a number half-way away from zero, as taught in school."""

LOSES = ["test_round_nearest"]


def round_nearest(x, exponent_bits, fraction_bits):
    bias = 2 ** (exponent_bits - 1) - 1
    _, power = torch.frexp(x)
    exponent = (power - 1).clamp(min=1 - bias)
    k = torch.ldexp(x, fraction_bits - exponent)
    k = torch.copysign(torch.floor(k.abs() + 0.5), x)
    return torch.ldexp(k, exponent - fraction_bits)
