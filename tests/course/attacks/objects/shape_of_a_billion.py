"""Return a tensor of 10^11 elements that takes 8 bytes here.

Stock nbgrader: not tried. Here: graded, 0.
"""

import torch


def round_stochastic(x, below, above, uniforms):
    return torch.zeros(1).expand(10**11)


def overflow(y, largest, specials, saturate):
    return torch.zeros(1).expand(10**7)
