"""Goes up with probability 1/2, wherever between the neighbours x lies."""

LOSES = ["test_stochastic"]


def round_stochastic(x, below, above, uniforms):
    return torch.where((uniforms < 0.5) & (x > below), above, below)
