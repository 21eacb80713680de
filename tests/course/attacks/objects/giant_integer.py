"""Return an integer of 200 000 digits.

Stock nbgrader: not tried. Here: graded, 0.
"""


def decode(code, exponent_bits, fraction_bits):
    return 1 << 250_000


def nvfp4(x):
    return 1 << 200_000, x, x
