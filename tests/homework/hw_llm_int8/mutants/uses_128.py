"""Scales by 128, so that the largest magnitude overflows to -128."""

LOSES = ["test_quantize_rows"]


def quantize_rows(x):
    constants = x.abs().amax(1)
    scale = 128 / torch.where(constants > 0, constants, 1.0)
    codes = (x * scale[:, None]).round().int()
    return ((codes + 128) % 256 - 128).to(torch.int8), constants
