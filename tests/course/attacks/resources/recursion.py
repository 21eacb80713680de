"""Recurse without end, after lifting Python's own limit.

Stock nbgrader: not tried. Here: stopped, 10 beside honest answers.
On Python 3.12+: graded. It raises RecursionError all the same, and does not die.
"""

import sys

sys.setrecursionlimit(10**9)


def number_line(exponent_bits, fraction_bits, specials):
    return eval("number_line(exponent_bits, fraction_bits, specials)")
