"""Lists nothing between 0 and the smallest normal number."""

LOSES = ["test_number_line"]


def number_line(exponent_bits, fraction_bits, specials):
    special = {"ieee": 2**fraction_bits, "nan": 1, "none": 0}[specials]
    gap = 2.0 ** (2 - 2 ** (exponent_bits - 1) - fraction_bits)
    numbers = [0.0]
    for code in range(2**fraction_bits, 2 ** (exponent_bits + fraction_bits) - special):
        field, fraction = divmod(code, 2**fraction_bits)
        numbers.append((fraction + 2**fraction_bits) * gap * 2.0 ** (field - 1))
    return numbers
