"""Reads minus zero as zero: multiplies by the sign before there is a float."""

LOSES = ["test_decode"]


def decode(code, exponent_bits, fraction_bits):
    fraction = code & (2**fraction_bits - 1)
    field = (code >> fraction_bits) & (2**exponent_bits - 1)
    sign = -1 if code >> (exponent_bits + fraction_bits) else 1
    bias = 2 ** (exponent_bits - 1) - 1
    k = sign * (fraction + (2**fraction_bits if field > 0 else 0))
    return k * 2.0 ** (max(field, 1) - bias - fraction_bits)
