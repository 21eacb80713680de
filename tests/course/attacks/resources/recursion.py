"""Recurse without end, after lifting Python's own limit.

Stock nbgrader: not tried. Here: stopped, 10 beside honest answers.
"""

import sys

sys.setrecursionlimit(10**9)


def number_line(exponent_bits, fraction_bits, specials):
    return eval("number_line(exponent_bits, fraction_bits, specials)")
