"""Return NaN everywhere: a comparison that is written the wrong way round passes.

Stock nbgrader: 0 of 11. Here: graded, 0.
"""

import torch


def decode(code, exponent_bits, fraction_bits):
    return float("nan")


def round_nearest(x, exponent_bits, fraction_bits):
    return torch.full_like(x, float("nan"))


def overflow(y, largest, specials, saturate):
    return torch.full_like(y, float("nan"))


def round_stochastic(x, below, above, uniforms):
    return torch.full_like(x, float("nan"))


def mxfp4(x):
    return torch.full((len(x), x.shape[1] // 32), float("nan")), x * float("nan")
