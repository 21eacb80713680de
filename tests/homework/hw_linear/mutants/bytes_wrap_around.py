"""Subtracts bytes from bytes: 3 - 8 = 251."""

LOSES = ["test_dequantize"]


def dequantize(codes, scale, zero):
    return scale * (codes - zero)
