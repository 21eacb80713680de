"""Gives all rows the constant of the whole matrix."""

LOSES = ["test_quantize_rows"]


def quantize_rows(x):
    constants = x.abs().max().expand(len(x))
    scale = 127 / torch.where(constants > 0, constants, 1.0)
    return (x * scale[:, None]).round().to(torch.int8), constants
