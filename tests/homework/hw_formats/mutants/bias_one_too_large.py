"""Takes the bias to be 2^(e-1), one more than it is."""

LOSES = ["test_decode"]


def decode(code, exponent_bits, fraction_bits):
    fraction = code & (2**fraction_bits - 1)
    field = (code >> fraction_bits) & (2**exponent_bits - 1)
    sign = -1.0 if code >> (exponent_bits + fraction_bits) else 1.0
    bias = 2 ** (exponent_bits - 1)
    leading = 1 if field > 0 else 0
    return (
        sign * 2.0 ** (max(field, 1) - bias) * (leading + fraction / 2**fraction_bits)
    )
