"""Divides 0 by 0 where the format holds x, and returns NaN."""

LOSES = ["test_stochastic"]


def round_stochastic(x, below, above, uniforms):
    up = torch.ceil((x - below) / (above - below) - uniforms)
    return below + up * (above - below)
