"""Ask for a terabyte that is never touched.

Stock nbgrader: not tried. Here: graded, 0.
"""

import numpy as np


def decode(code, exponent_bits, fraction_bits):
    return np.empty(1 << 37)[0]
