"""Goes up with the probability of going down: the farther from above, the likelier."""

LOSES = ["test_stochastic"]


def round_stochastic(x, below, above, uniforms):
    return torch.where(uniforms * (above - below) < above - x, above, below)
