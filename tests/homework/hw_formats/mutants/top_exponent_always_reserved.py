"""Reserves the top exponent for infinity and NaN in every format, as fp16 does."""

LOSES = ["test_number_line"]


def number_line(exponent_bits, fraction_bits, specials):
    gap = 2.0 ** (2 - 2 ** (exponent_bits - 1) - fraction_bits)
    numbers = []
    for code in range(2 ** (exponent_bits + fraction_bits) - 2**fraction_bits):
        field, fraction = divmod(code, 2**fraction_bits)
        steps = fraction + (2**fraction_bits if field > 0 else 0)
        numbers.append(steps * gap * 2.0 ** (max(field, 1) - 1))
    return numbers
