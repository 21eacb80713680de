"""Gives every code a leading 1, the subnormal ones too."""

LOSES = ["test_decode"]


def decode(code, exponent_bits, fraction_bits):
    fraction = code & (2**fraction_bits - 1)
    field = (code >> fraction_bits) & (2**exponent_bits - 1)
    sign = -1.0 if code >> (exponent_bits + fraction_bits) else 1.0
    bias = 2 ** (exponent_bits - 1) - 1
    return sign * 2.0 ** (field - bias) * (1 + fraction / 2**fraction_bits)
