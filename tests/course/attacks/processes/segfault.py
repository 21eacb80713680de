"""Crash the interpreter.

Stock nbgrader: not tried. Here: stopped, 10 beside honest answers.
"""

import ctypes


def number_line(exponent_bits, fraction_bits, specials):
    return ctypes.string_at(0)
